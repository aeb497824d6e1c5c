//! What one run of a work gave.

use super::host::Spent;
use super::roll::percentile;

/// How much of the time the server waited while other processes had its core.
pub const WAITED: &str = "server waited %";

/// Figures with their names; the first is the one that is compared.
pub struct Figures {
    /// All of them.
    pub all: Vec<(&'static str, f64)>,
    /// Whether the load was the slow one.
    pub bound_by_load: bool,
}

impl Figures {
    /// The figure that counts, and what was spent on it.
    pub fn new(what: &'static str, figure: f64, spent: Spent) -> Self {
        let share = |busy: std::time::Duration| 100.0 * busy.as_secs_f64() / spent.wall.as_secs_f64().max(1e-9);
        let all = vec![
            (what, figure),
            ("server busy %", share(spent.server)),
            (WAITED, share(spent.waited)),
            ("load busy %", share(spent.load)),
        ];
        Self { all, bound_by_load: spent.is_bound_by_load() }
    }

    /// How long things took, in microseconds.
    pub fn add_times(&mut self, times: &mut [u32]) {
        self.add("p50 ms", percentile(times, 0.5));
        self.add("p99 ms", percentile(times, 0.99));
        self.add("p99.9 ms", percentile(times, 0.999));
    }

    /// One more.
    pub fn add(&mut self, what: &'static str, figure: f64) {
        self.all.push((what, figure));
    }
}
