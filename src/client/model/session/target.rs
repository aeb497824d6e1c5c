//! Whom one talks to: what does not go there at once, as the person may believe to be elsewhere.

use super::typed::{switch, target};
use super::{Session, cut};
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
    use crate::client::model::session::tests::{hear, online, sent, shown};

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
}
