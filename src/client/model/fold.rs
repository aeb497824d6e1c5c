//! Who comes and goes, folded on wish: how many, told before the next that is said there, in the place of a line for each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::client::model::news::{Moves, News};
use crate::names::Place;

/// How long arrivals and departures are held back where nothing else is told.
const HELD: Duration = Duration::from_secs(60);

/// What is held back of each place.
#[derive(Default, Debug)]
pub struct Fold {
    is_on: bool,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    place: Place,
    since: Instant,
    came: usize,
    went: usize,
    /// The last of them.
    last: News,
}

impl Fold {
    /// Whether arrivals and departures are folded.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Folds them from now on, or no more. What is held back then comes `out`.
    pub fn set(&mut self, is_on: bool, out: &mut VecDeque<News>) {
        self.is_on = is_on;
        if !is_on {
            out.extend(self.held.drain(..).map(Held::told));
        }
    }

    /// Takes news in. What is to be shown of it now comes `out`.
    pub fn take(&mut self, news: News, now: Instant, out: &mut VecDeque<News>) {
        if let News::Happened { place, moves: Some(moves), .. } = &news
            && self.is_on
        {
            let (came, went) = if *moves == Moves::In { (1, 0) } else { (0, 1) };
            match self.held.iter_mut().find(|held| held.place == *place) {
                Some(held) => (held.came, held.went, held.last) = (held.came + came, held.went + went, news),
                None => self.held.push(Held { place: *place, since: now, came, went, last: news }),
            }
            return;
        }
        if let News::Said { place, .. }
        | News::Happened { place, .. }
        | News::Erased { place, .. }
        | News::File { place, .. } = &news
        {
            let here = self.held.iter().position(|held| held.place == *place);
            out.extend(here.map(|at| self.held.remove(at).told()));
        }
        out.push_back(news);
    }

    /// When [`Fold::release`] is due.
    pub fn due(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.since + HELD).min()
    }

    /// Lets out what has been held back for long enough.
    pub fn release(&mut self, now: Instant, out: &mut VecDeque<News>) {
        let is_due = |held: &mut Held| now >= held.since + HELD;
        out.extend(self.held.extract_if(.., is_due).map(Held::told));
    }
}

impl Held {
    /// One alone is told as it is.
    fn told(self) -> News {
        let text = match (self.came, self.went) {
            (1, 0) | (0, 1) => return self.last,
            (came, 0) => format!("{came} came"),
            (0, went) => format!("{went} left"),
            (came, went) => format!("{came} came, {went} left"),
        };
        News::Happened { place: self.place, at: self.last.at(), text, moves: None, call: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(place: &str, text: &str, moves: Option<Moves>) -> News {
        News::Happened { place: Place::new(place).unwrap(), at: None, text: text.to_owned(), moves, call: None }
    }

    #[test]
    fn who_comes_and_goes_is_counted_until_something_else_is_told_there() {
        let (mut fold, mut out, now) = (Fold::default(), VecDeque::new(), Instant::now());
        let (came, went) =
            (|| happened("#a", "x joined", Some(Moves::In)), || happened("#a", "x left", Some(Moves::Out)));
        fold.take(came(), now, &mut out);
        assert_eq!(std::mem::take(&mut out), [came()], "it was not wished for");
        fold.set(true, &mut out);
        let steps = [came(), came(), went(), happened("#b", "y joined", Some(Moves::In)), came()];
        steps.into_iter().for_each(|news| fold.take(news, now, &mut out));
        let note = News::Note("elsewhere".to_owned());
        fold.take(note.clone(), now, &mut out);
        assert_eq!(std::mem::take(&mut out), [note]);
        let topic = happened("#a", "x set the topic: tea", None);
        fold.take(topic.clone(), now, &mut out);
        assert_eq!(std::mem::take(&mut out), [happened("#a", "3 came, 1 left", None), topic]);
        // One alone keeps its name, and nothing is held back for ever.
        fold.release(now + HELD - Duration::from_secs(1), &mut out);
        assert!(out.is_empty() && fold.due() == Some(now + HELD));
        fold.release(now + HELD, &mut out);
        assert_eq!(std::mem::take(&mut out), [happened("#b", "y joined", Some(Moves::In))]);
        fold.take(went(), now, &mut out);
        fold.take(went(), now, &mut out);
        fold.set(false, &mut out);
        assert_eq!(out, [happened("#a", "2 left", None)]);
        assert!(fold.due().is_none());
    }
}
