//! The whole benchmark: every work with every server, in rounds, so that what disturbs the machine for a while disturbs
//! all of them.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::host::cores;
use super::peers::{PEERS, Peer};
use super::picture;
use super::results::{Results, digits};
use super::works::{Size, WORKS, Work};
use chinwag_bench::{Outcome, failed, raise_limit};

/// Where the figures are written down, in the folder of the build.
const FIGURES: &str = "bench.tsv";

/// How it is to be run.
pub struct Plan {
    /// How large the works are.
    pub size: Size,
    /// How often each is done.
    pub rounds: u32,
    /// Which works; all if there are none.
    pub only: Vec<Work>,
}

/// Runs everything, prints the table, and writes down the figures and the picture.
pub fn run(plan: &Plan) -> Outcome<()> {
    raise_limit(plan.size.descriptors())?;
    let (cores, begin) = (cores()?, Instant::now());
    let mut results = Results::new(about(&cores)?);
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
        for work in WORKS.iter().filter(|work| plan.only.is_empty() || plan.only.contains(work)) {
            for peer in peers.iter().copied().filter(|peer| work.is_for(*peer)) {
                let figures = work.run(peer, plan.size, &cores).map_err(|e| format!("{work} with {peer}: {e}"))?;
                results.add(round, &work.to_string(), &peer.to_string(), &figures);
                if let Some((what, figure)) = figures.all.first() {
                    eprintln!("{round}/{} {work} {peer}: {} {what}", plan.rounds, digits(*figure));
                }
            }
        }
        // Nobody is always the first, or always behind the same one.
        peers.rotate_left(1);
        // What was measured so far is not lost if something fails later.
        results.save(&beside()?.join(FIGURES))?;
    }
    results.about.push(format!("rounds: {}, in {} s", plan.rounds, begin.elapsed().as_secs()));
    let waited = results.waited();
    if waited > 2.0 {
        let share = digits(waited);
        results
            .about
            .push(format!("something else was running, servers waited {share} % of the time: these figures are noisy"));
    }
    results.save(&beside()?.join(FIGURES))?;
    draw(&beside()?)
}

/// Prints the table of what was written down, and draws its picture into a folder.
pub fn draw(folder: &Path) -> Outcome<()> {
    let figures = beside()?.join(FIGURES);
    let results = Results::read(&figures)?;
    println!("{}", results.table());
    let picture = folder.join("bench.svg");
    picture::draw(&results, &picture)?;
    println!("The picture is {}, the figures are in {}.", picture.display(), figures.display());
    Ok(())
}

/// The folder of the build.
pub fn beside() -> Outcome<PathBuf> {
    let own = std::env::current_exe().map_err(failed("this program's path"))?;
    own.ancestors().nth(3).map(Path::to_owned).ok_or_else(|| "this program is nowhere".into())
}

/// The machine and the day.
pub fn about(cores: &[usize]) -> Outcome<Vec<String>> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(failed(path));
    let model = read("/proc/cpuinfo")?;
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
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
