//! Whom one talks to: where lines go that name nobody, whether the person knows that, and what is held back while they may not.

use super::typed::{switch, target};
use super::{Asked, Pending, Session, cut};
use crate::commands;

impl Session {
    /// Why a line may be meant for elsewhere that goes to whom one talks to, as what was typed to choose them was refused: then it has
    /// to be typed once more, which says `what`.
    pub(super) fn strays(&mut self, line: &str, what: &str, doubted: Option<&str>) -> Option<String> {
        if self.is_moving() {
            return None;
        }
        if let (Some(refused), Some(place)) = (&self.astray, self.talks.target())
            && doubted != Some(line)
        {
            let why = format!("{refused} was refused, so this would go to {place}");
            self.doubted = Some(line.to_owned());
            return Some(format!("{why}; type it once more {what}, or /query TARGET first"));
        }
        self.astray = None;
        None
    }

    /// Whether rooms are being entered, of which there is still something to be told.
    pub(super) fn is_entering(&self) -> bool {
        let is_coming =
            |asked: &Asked| matches!(asked.pending, Pending::Join(_) | Pending::Ranks { .. } | Pending::History(_));
        self.asked.iter().any(is_coming)
    }

    /// Tells who hears all whom they talk to, where that is another than they know of and there are several: no prompt shows it. It is
    /// told below what was said there before.
    pub(super) fn tell_target(&mut self) {
        let target = self.talks.target();
        if target == self.told_target || !self.is_online() || self.is_entering() {
            return;
        }
        self.told_target = target;
        if let Some(place) = target.filter(|_| self.is_spoken && self.talks.iter().count() > 1) {
            self.note(format!("you talk to {place} now"));
        }
    }
}

/// Whether this command does something to those whom one talks to, as it names no others.
pub(super) fn goes_to_target(name: &str, rest: &str) -> bool {
    let first = cut(rest).0;
    let leaves_out = |usage: &str, part: &str| cut(cut(usage).1).0 == part;
    match name {
        "send" => {
            !rest.is_empty() && !first.starts_with(['#', '@']) && (target(first).is_none() || first == rest.trim())
        }
        "typing" => first.is_empty() || switch(first).is_some(),
        // These only tell something.
        "history" | "bans" => false,
        "op" | "room" | "topic" if rest.is_empty() => false,
        _ => !first.starts_with('#') && commands::find(name).is_some_and(|spec| leaves_out(spec.usage, "[#ROOM]")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::client::model::news::{News, Taken};
    use crate::client::model::session::tests::{answer, hear, online, sent, shown};

    #[test]
    fn who_leaves_a_room_is_told_of_the_one_that_they_talked_to_before() {
        let mut session = online(&["#a", "#b", "#c"]);
        for (line, reply, told) in [
            ("/query #a", "+ query #a", "you talk to #a"),
            ("/query #b", "+ query #b", "you talk to #b"),
            ("/leave", "+ leave #b", "you left #b; you talk to nobody now; /query #a changes that"),
            ("/query #a", "+ query #a", "you talk to #a"),
            ("/leave", "+ leave #a", "you left #a; you talk to nobody now; /query #c changes that"),
        ] {
            session.typed(line, Instant::now());
            hear(&mut session, &[reply]);
            assert_eq!(shown(&mut session), [News::Done(told.to_owned())], "{line}");
        }
    }

    #[test]
    fn after_a_refused_move_nothing_goes_to_the_old_place_unseen() {
        let now = Instant::now();
        for (line, refused) in [
            ("/query bob", "! query no-such-nick bob is not here"),
            ("/join #b", "! join banned you may not come into #b"),
        ] {
            let mut session = online(&["#a"]);
            session.typed(line, now);
            hear(&mut session, &[refused]);
            sent(&mut session);
            session.keystroke("ps", now);
            for text in ["psst", "/me winks", "psst"] {
                assert!(matches!(session.typed(text, now), Taken::No(why) if why.contains("#a")), "{text}");
            }
            assert!(sent(&mut session).is_empty());
            // Once it is typed twice, it is meant so.
            for text in ["psst", "and on"] {
                assert_eq!(session.typed(text, now), Taken::Yes);
            }
            assert_eq!(sent(&mut session), ["/msg #a psst", "/msg #a and on"]);
        }
        // What is not said but done or shared goes there unseen, too; what names where it goes, or only asks, is meant so.
        for line in [
            "/send notes.txt",
            "/topic tea",
            "/typing on",
            "/kick bob",
            "/leave",
            "/room moderated on",
            "/erase 1",
            "/op bob",
        ] {
            let mut session = online(&["#a"]);
            session.typed("/query bob", now);
            hear(&mut session, &["! query no-such-nick bob is not here"]);
            sent(&mut session);
            let why = "/query bob was refused, so this would go to #a; type it once more if you mean that, or /query TARGET first";
            assert_eq!(session.typed(line, now), Taken::No(why.to_owned()), "{line}");
            assert!(!matches!(session.typed(line, now), Taken::No(_)), "{line}");
        }
        for line in [
            "/send #a notes.txt",
            "/topic #a tea",
            "/topic",
            "/typing #a on",
            "/op",
            "/bans",
            "/history",
            "/who",
            "/msg #a hi",
        ] {
            let mut session = online(&["#a"]);
            session.typed("/query bob", now);
            hear(&mut session, &["! query no-such-nick bob is not here"]);
            assert!(!matches!(session.typed(line, now), Taken::No(_)), "{line}");
        }
        let mut session = online(&["#a"]);
        for (line, reply) in [("/query bob", "! query no-such-nick bob is not here"), ("/query carol", "+ query carol")]
        {
            session.typed(line, now);
            hear(&mut session, &[reply]);
        }
        sent(&mut session);
        session.typed("hi", now);
        assert_eq!(sent(&mut session), ["/msg @carol hi"]);
        shown(&mut session);
        session.typed("/query", now);
        assert_eq!(shown(&mut session), [News::Answer("you talk to @carol; /query TARGET for another".to_owned())]);
    }

    #[test]
    fn who_hears_all_is_told_whom_they_talk_to_where_that_changes() {
        let now = Instant::now();
        let told = |session: &mut Session| {
            let news = shown(session).into_iter().filter_map(|news| match news {
                News::Note(text) if text.starts_with("you talk to ") => Some(text),
                _ => None,
            });
            news.collect::<Vec<_>>()
        };
        for is_spoken in [true, false] {
            let mut session = online(&["#a"]);
            session.is_spoken = is_spoken;
            let mut step = |line: &str, want: &[&str]| {
                match line {
                    "" => {
                        session.lost("gone");
                        session.connected();
                        hear(&mut session, &["* hello alice x 1 online"]);
                        while !session.is_online() || !session.asked.is_empty() {
                            answer(&mut session);
                        }
                    }
                    line => {
                        session.typed(line, now);
                        answer(&mut session);
                        // Not before what was said there.
                        assert_eq!(told(&mut session), [""; 0]);
                        while !session.asked.is_empty() {
                            answer(&mut session);
                        }
                    }
                }
                let want = if is_spoken { want } else { &[] };
                assert_eq!(told(&mut session), want, "{line}");
            };
            step("", &[]);
            step("/join #b", &["you talk to #b now"]);
            step("/ping 1", &[]);
            // It is told by the answer.
            step("/query #a", &[]);
            step("/ping 2", &[]);
            step("", &["you talk to #a now"]);
        }
    }
}
