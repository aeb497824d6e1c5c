//! The figures of all runs, and what is made of several of the same.

use std::fmt::Write;
use std::path::Path;

use super::figures::{Figures, WAITED};
use chinwag_bench::{Outcome, failed};

/// One figure of one run.
struct Sample {
    round: u32,
    work: String,
    who: String,
    what: String,
    value: f64,
    bound_by_load: bool,
}

/// All of them, with what is to be told about them.
#[derive(Default)]
pub struct Results {
    /// The machine, the versions, what was left out: a line each.
    pub about: Vec<String>,
    samples: Vec<Sample>,
}

/// Several runs of the same.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Whether the load was the slow one in most of them.
    pub bound_by_load: bool,
}

impl Results {
    /// No figures yet.
    pub fn new(about: Vec<String>) -> Self {
        Self { about, samples: Vec::new() }
    }

    /// Adds the figures of a run.
    pub fn add(&mut self, round: u32, work: &str, who: &str, figures: &Figures) {
        for (what, value) in &figures.all {
            let (work, who, what) = (work.to_owned(), who.to_owned(), (*what).to_owned());
            self.samples.push(Sample { round, work, who, what, value: *value, bound_by_load: figures.bound_by_load });
        }
    }

    /// What all rounds gave.
    pub fn spread(&self, work: &str, who: &str, what: &str) -> Option<Spread> {
        let same = |sample: &&Sample| sample.work == work && sample.who == who && sample.what == what;
        let samples: Vec<&Sample> = self.samples.iter().filter(same).collect();
        let mut values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        let bound = samples.iter().filter(|sample| sample.bound_by_load).count();
        Some(Spread { median, least, most, bound_by_load: 2 * bound > samples.len() })
    }

    /// How much of the time servers waited for their core, in the middle of all runs, in percent.
    pub fn waited(&self) -> f64 {
        let waited = self.samples.iter().filter(|sample| sample.what == WAITED);
        let mut waited: Vec<f64> = waited.map(|sample| sample.value).collect();
        waited.sort_by(f64::total_cmp);
        waited.get(waited.len() / 2).copied().unwrap_or_default()
    }

    /// Writes them down, so that the table and the picture can be made again.
    pub fn save(&self, path: &Path) -> Outcome<()> {
        let mut text: String = self.about.iter().fold(String::new(), |text, line| text + "# " + line + "\n");
        for Sample { round, work, who, what, value, bound_by_load } in &self.samples {
            let bound = if *bound_by_load { "load-bound" } else { "" };
            let _ = writeln!(text, "{round}\t{work}\t{who}\t{what}\t{value}\t{bound}");
        }
        std::fs::write(path, text).map_err(failed(&path.display().to_string()))
    }

    /// Reads what was written down.
    pub fn read(path: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(path).map_err(failed(&path.display().to_string()))?;
        let mut results = Self::default();
        for line in text.lines() {
            if let Some(about) = line.strip_prefix("# ") {
                results.about.push(about.to_owned());
                continue;
            }
            let fields: Vec<&str> = line.split('\t').collect();
            let [round, work, who, what, value, bound] = fields[..] else {
                return Err(format!("{line:?} is no figure"));
            };
            results.samples.push(Sample {
                round: round.parse().map_err(failed("the round"))?,
                work: work.to_owned(),
                who: who.to_owned(),
                what: what.to_owned(),
                value: value.parse().map_err(failed("the figure"))?,
                bound_by_load: !bound.is_empty(),
            });
        }
        Ok(results)
    }
}

/// A figure with as many digits as mean something.
pub fn digits(value: f64) -> String {
    let size = value.abs();
    let places = if size >= 100.0 || size == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.places$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, _)| text.split_at(whole.len()));
    thousands(whole) + rest
}

/// A whole number, with commas between the thousands.
pub fn count(number: f64) -> String {
    thousands(&format!("{number:.0}"))
}

fn thousands(digits: &str) -> String {
    let comma = |n: usize| n > 0 && (digits.len() - n).is_multiple_of(3);
    digits.chars().enumerate().fold(String::new(), |mut out, (n, digit)| {
        out.extend(comma(n).then_some(','));
        out.push(digit);
        out
    })
}
