//! The whole benchmark: every work with every server, in rounds, so that what disturbs the machine for a while disturbs
//! all of them.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::host::cores;
use super::network::{self, Writes};
use super::peers::{PEERS, Peer};
use super::picture;
use super::results::{Results, digits};
use super::works::{Size, WORKS, Work};
use chinwag::time::in_seconds;
use chinwag_bench::{Outcome, failed, raise_limit};

/// Where the figures are written down, in the folder of the build.
const FIGURES: &str = "bench.tsv";
/// The same of the runs in which a write is dear.
const DEAR: &str = "bench-dear.tsv";
/// The picture.
const PICTURE: &str = "bench.svg";

/// How it is to be run.
pub struct Plan {
    /// How large the works are.
    pub size: Size,
    /// How often each is done.
    pub rounds: u32,
    /// Which works; all if there are none.
    pub only: Vec<Work>,
    /// What writes are to cost; if it is not said, first this, then that.
    pub writes: Option<Writes>,
}

/// Runs everything, prints the table, and writes down the figures and the picture.
pub fn run(plan: &Plan) -> Outcome<()> {
    raise_limit(plan.size.descriptors())?;
    let (cores, begin) = (cores()?, Instant::now());
    let mut results = Results::new(about(&cores)?);
    let is_dear = plan.writes == Some(Writes::Dear);
    if is_dear {
        results.about.push(network::make_dear(&cores)?);
    }
    let figures = beside()?.join(if is_dear { DEAR } else { FIGURES });
    let is_asked = |work: &&Work| (plan.only.is_empty() || plan.only.contains(work)) && (work.is_talk() || !is_dear);
    if plan.size == Size::Quick {
        results.about.push("quick: the works are smaller than they should be, and few runs tell little".into());
    }
    let mut peers = Vec::new();
    for peer in PEERS {
        match peer.version() {
            Ok(version) => {
                if !matches!(peer, Peer::Bare(_)) {
                    results.about.push(format!("{peer}: {version}"));
                }
                peers.push(*peer);
            }
            Err(message) => results.about.push(format!("{peer} is left out: {message}")),
        }
    }
    for round in 1..=plan.rounds {
        for work in WORKS.iter().filter(is_asked) {
            for peer in peers.iter().copied().filter(|peer| work.is_for(*peer)) {
                let done = work
                    .run(peer, plan.size, plan.writes.unwrap_or_default(), &cores)
                    .map_err(|e| format!("{work} with {peer}: {e}"))?;
                results.add(round, &work.to_string(), &peer.to_string(), &done);
                if let Some((what, figure)) = done.all.first() {
                    eprintln!("{round}/{} {work} {peer}: {} {what}", plan.rounds, digits(*figure));
                }
            }
        }
        // Nobody is always the first, or always behind the same one.
        peers.rotate_left(1);
        // What was measured so far is not lost if something fails later.
        results.save(&figures)?;
    }
    results.about.push(format!("rounds: {}, in {} s", plan.rounds, begin.elapsed().as_secs()));
    let waited = results.waited();
    if waited > 2.0 {
        let share = digits(waited);
        results
            .about
            .push(format!("something else was running, servers waited {share} % of the time: these figures are noisy"));
    }
    results.save(&figures)?;
    println!("{}", results.table());
    println!("The figures are in {}.", figures.display());
    if is_dear { Ok(()) } else { picture::draw(&results, &beside()?.join(PICTURE)) }
}

/// Prints the tables of what was written down, and draws the picture into a folder.
pub fn draw(folder: &Path) -> Outcome<()> {
    let results = Results::read(&beside()?.join(FIGURES))?;
    println!("{}", results.table());
    if let Ok(dear) = Results::read(&beside()?.join(DEAR)) {
        println!("{}", dear.table());
    }
    picture::draw(&results, &folder.join(PICTURE))
}

/// The folder of the build.
pub fn beside() -> Outcome<PathBuf> {
    let own = std::env::current_exe().map_err(failed("this program's path"))?;
    own.ancestors().nth(2).map(Path::to_owned).ok_or_else(|| "this program is nowhere".into())
}

/// The machine and the day.
pub fn about(cores: &[usize]) -> Outcome<Vec<String>> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(failed(path));
    let model = read("/proc/cpuinfo")?;
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let day = in_seconds(SystemTime::now()).to_string();
    let mut about = vec![format!(
        "{} of {} cores, Linux {}, {}",
        model.trim_start_matches([' ', '\t', ':']),
        cores.len(),
        kernel.trim(),
        &day[..10]
    )];
    if cores.len() < 2 {
        about.push("with one core the server and the load are in each other's way: these figures are worthless".into());
    }
    Ok(about)
}
