//! What the server knows nothing of, or knows otherwise: commands of this client's own, and those that it has in its own way.

use super::{Session, cut};
use crate::commands;
use crate::wire::Code;

/// What this client does in its own way, with what stands for it in the server's help.
const OWN_HELP: &[(&str, &[&str])] = &[
    ("/send ", &["/send [TARGET] PATH  share the file at PATH, in quotes if that has blanks"]),
    ("/get ", &["/get ID  fetch a file, and save it", SHOW]),
    ("/cancel ", &["/cancel ID or NAME  stop a transfer, or else withdraw your file"]),
    ("/pass ", &["/pass  unlock the server; its password is asked for, and not shown"]),
    ("/login ", &["/login NICK  be NICK, whose password you know; it is asked for, and not shown"]),
    ("/register ", &["/register  make the name that you have yours; the password is asked for, and not shown"]),
    ("/passwd ", &["/passwd  change the password of your name; both are asked for, and not shown"]),
    (
        "/drop ",
        &[
            "/drop  give your name up, and its ranks, and nobody can have it for 30 days; the password is asked for, and not shown",
        ],
    ),
    (
        "/query ",
        &["/query [TARGET]  talk to TARGET, a room or a person, from now on; alone, it tells whom you talk to"],
    ),
    (
        "/typing ",
        &["/typing [TARGET] [on|off]  tell that you are typing; it lasts six seconds. /set typing off tells nobody"],
    ),
    ("/set ", &["/set [presence|typing on|off]  your settings, or change one"]),
    ("/quit ", &["/quit [REASON]  leave the server"]),
    // What the client does by itself.
    ("/keep ", &[]),
    ("/resume ", &[]),
    // What the client needs is no choice of the person's.
    ("echo ", &[]),
    ("stamp ", &[]),
];
/// The keys of the screen, told besides the commands.
pub(super) const KEYS: &str = "Tab completes; Ctrl-R looks for a line that you typed; Alt-Left and Alt-Right go through the conversations; Ctrl-D leaves. chinwag connect --plain is for screen readers";
/// What the server knows nothing of: commands, and their help.
pub(super) const OWN: &[(&str, &str)] = &[
    ("show", SHOW),
    ("search", "/search WORD  look for WORD in what was shown here and in the history of this room"),
    ("fold", "/fold on|off  tell only how many come and go, as in 4 came, 2 left"),
];
/// What they are called in the list of all commands.
pub(super) const OWN_GROUP: &str = "this client:";
pub(super) const SHOW: &str = "/show ID [full]  show a picture, small or as large as there is room";

/// What stands in the place of a line of the server's help, or of the settings. A program is asked for no password.
pub(super) fn own_help(text: &str, is_person: bool) -> Option<&'static [&'static str]> {
    let (_, help) = OWN_HELP.iter().find(|(usage, _)| text.starts_with(usage))?;
    let is_asked = help.iter().any(|line| line.ends_with(" asked for, and not shown"));
    (is_person || !is_asked).then_some(*help)
}

/// How a command of which this is the usage is typed here.
pub(super) fn own_form(usage: &'static str, is_person: bool) -> &'static str {
    let line = own_help(usage, is_person).and_then(|lines| lines.first());
    line.and_then(|line| line.split("  ").next()).unwrap_or(usage)
}

impl Session {
    /// What a refusal says in the place of the server's words, where this line may mean one of the commands that the server does not know.
    pub(super) fn own_slip(&self, line: &str, code: Code<'_>) -> Option<String> {
        let (command, rest) = cut(line);
        let (typed, what) = match code {
            Code::UnknownCommand => (command.trim_start_matches('/'), format!("{command}: no such command")),
            Code::Usage if super::typed::name(line) == "help" => {
                let word = rest.trim().trim_start_matches('/');
                (word, format!("/help: {word} is no command"))
            }
            // The server's own words offer what is otherwise here.
            Code::Usage => {
                let usage = commands::find(command)?.usage;
                own_help(usage, self.has_person())?;
                return Some(format!("it is {}", own_form(usage, self.has_person())));
            }
            _ => return None,
        };
        let mut own = OWN.iter().map(|(name, _)| *name).filter(|name| commands::may_mean(typed, name)).peekable();
        own.peek()?;
        let meant = commands::meant(typed, |verb| self.is_operator || commands::is_common(verb)).into_iter().chain(own);
        Some(format!("{what}; did you mean /{}? /help lists them", meant.collect::<Vec<_>>().join(" or /")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::client::model::news::News;
    use crate::client::model::session::tests::{hear, online, sent, shown};

    #[test]
    fn settings_that_the_client_needs_are_offered_to_nobody() {
        let mut session = online(&["#a"]);
        for (line, replies, told) in [
            (
                "/set",
                &["- echo on", "- stamp on", "- presence on", "- typing off", "+ set"][..],
                &["presence is on", "typing is off"][..],
            ),
            (
                "/set foo",
                &["! set usage it is /set [echo|stamp|presence|typing on|off]"],
                &["/set: it is /set [presence|typing on|off]"],
            ),
        ] {
            session.typed(line, Instant::now());
            assert_eq!(sent(&mut session), [line]);
            hear(&mut session, replies);
            let news = shown(&mut session).into_iter().map(|news| match news {
                News::Answer(text) | News::Refused(text) => text,
                news => format!("{news:?}"),
            });
            assert_eq!(news.collect::<Vec<_>>(), told, "{line}");
        }
    }

    #[test]
    fn a_slip_in_a_command_of_the_clients_own_is_told_what_was_meant() {
        let unknown = "! ? unknown-command /X: no such command; /help lists them";
        let no_help = "! help usage X is no command; /help lists them";
        for (line, reply, told) in [
            ("/serach tea", unknown, "/serach: no such command; did you mean /search? /help lists them"),
            ("/Fodl on", unknown, "/Fodl: no such command; did you mean /fold? /help lists them"),
            ("/shwo 1", unknown, "/shwo: no such command; did you mean /show? /help lists them"),
            ("/f", unknown, "/f: no such command; did you mean /founder or /files or /fold? /help lists them"),
            ("/help sarch", no_help, "/help: sarch is no command; did you mean /search? /help lists them"),
            // The server tells what else there is.
            ("/nope", unknown, "/nope: /X: no such command; /help lists them"),
            ("/help nope", no_help, "/help: X is no command; /help lists them"),
        ] {
            let mut session = online(&["#a"]);
            session.typed(line, Instant::now());
            assert_eq!(sent(&mut session), [line]);
            hear(&mut session, &[reply]);
            assert_eq!(shown(&mut session), [News::Refused(told.to_owned())], "{line}");
        }
    }
}
