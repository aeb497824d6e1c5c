//! What reaches a person who looks elsewhere: notifications and the title of the window, where the terminal is known to have them.

use crate::names::{Nick, Place, clean};

/// The most characters of a text that a notification shows.
const SHOWN: usize = 200;
/// The names of terminals that are known to have a title, and a stack of earlier ones, as they begin in `TERM`.
const TITLED: [&str; 9] =
    ["alacritty", "contour", "foot", "konsole", "mintty", "rxvt-unicode", "vte", "wezterm", "xterm"];

/// How a terminal is asked to notify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Notification {
    /// With iTerm2's sequence, which many others have too.
    Osc9,
    /// With that of rxvt-unicode and of the terminals made with VTE.
    Osc777,
}

/// What the terminal can do, and whether its window has a title of ours.
#[derive(Default, Debug)]
pub struct Notifier {
    notification: Option<Notification>,
    has_title: bool,
    is_titled: bool,
}

impl Notifier {
    /// What is known of the terminal from these variables of the environment. What stands between it and us would keep the
    /// sequences, or show them.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| variable(name).unwrap_or_default();
        let is_set = |name| !variable(name).is_empty();
        let term = variable("TERM");
        if is_set("TMUX") || is_set("STY") || term.starts_with("screen") || term.starts_with("tmux") {
            return Self::default();
        }
        let notification = match &*variable("TERM_PROGRAM") {
            "iTerm.app" | "WezTerm" | "ghostty" | "WarpTerminal" => Some(Notification::Osc9),
            _ if term.starts_with("xterm-kitty") || term.starts_with("xterm-ghostty") => Some(Notification::Osc9),
            _ if term.starts_with("foot") || term.starts_with("rxvt-unicode") => Some(Notification::Osc777),
            _ if is_set("VTE_VERSION") => Some(Notification::Osc777),
            _ => None,
        };
        let has_title = TITLED.iter().any(|name| term.starts_with(name));
        Self { notification, has_title, is_titled: false }
    }

    /// Shows who called and what was said, outside of the terminal.
    pub fn notification(&self, call: &str, text: &str) -> String {
        let (call, text) = (harmless(call), harmless(text));
        match self.notification {
            Some(Notification::Osc9) => format!("\x1b]9;{call}: {text}\x1b\\"),
            Some(Notification::Osc777) => format!("\x1b]777;notify;{call};{text}\x1b\\"),
            None => String::new(),
        }
    }

    /// Shows in the title how often the person was called, and by whom last. The title that was there before is kept.
    pub fn title(&mut self, calls: usize, call: &str) -> String {
        if !self.has_title {
            return String::new();
        }
        let keep = if std::mem::replace(&mut self.is_titled, true) { "" } else { "\x1b[22;2t" };
        format!("{keep}\x1b]2;({calls}) {} - chinwag\x1b\\", harmless(call))
    }

    /// Brings back the title that was there before.
    pub fn restore(&mut self) -> &'static str {
        if std::mem::take(&mut self.is_titled) { "\x1b[23;2t" } else { "" }
    }
}

/// Who called, and where.
pub fn call(from: Nick, place: Place) -> String {
    match place {
        Place::With(_) => from.to_string(),
        place => format!("{from} in {place}"),
    }
}

/// `text` so that nothing in it ends a sequence or stands for something else within it.
fn harmless(text: &str) -> String {
    let text = clean(text.as_bytes());
    text.chars().take(SHOWN).map(|c| if c == '\t' || c == ';' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Notifier {
        Notifier::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn only_what_the_terminal_is_known_to_have() {
        let title = "\x1b[22;2t\x1b]2;(2) bob - chinwag\x1b\\";
        for (variables, notification, has_title) in [
            (&[("TERM", "xterm-256color")][..], "", true),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")], "\x1b]9;bob: hi\x1b\\", true),
            (&[("TERM", "xterm-kitty")], "\x1b]9;bob: hi\x1b\\", true),
            (&[("TERM", "foot")], "\x1b]777;notify;bob;hi\x1b\\", true),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")], "\x1b]777;notify;bob;hi\x1b\\", true),
            (&[("TERM", "tmux-256color"), ("TERM_PROGRAM", "iTerm.app")], "", false),
            (&[("TERM", "xterm-kitty"), ("STY", "1.x")], "", false),
            (&[("TERM", "linux")], "", false),
            (&[], "", false),
        ] {
            let mut notifier = of(variables);
            assert_eq!(notifier.notification("bob", "hi"), notification, "{variables:?}");
            assert_eq!(notifier.restore(), "");
            assert_eq!(notifier.title(2, "bob"), if has_title { title } else { "" }, "{variables:?}");
            // The second title is not kept for later, and the first is brought back once.
            assert!(!notifier.title(3, "bob").contains("[22;2t"));
            assert_eq!(notifier.restore(), if has_title { "\x1b[23;2t" } else { "" });
            assert_eq!(notifier.restore(), "");
        }
    }

    #[test]
    fn no_text_ends_the_sequence() {
        let evil = "4;x\x1b\\\x07\u{9c}\t\n\u{202e}y";
        for term in ["foot", "xterm-kitty"] {
            let mut notifier = of(&[("TERM", term)]);
            for shown in [notifier.notification(evil, evil), notifier.title(1, evil).replace("\x1b[22;2t", "")] {
                let inner = shown.strip_prefix("\x1b]").and_then(|rest| rest.strip_suffix("\x1b\\")).unwrap();
                assert!(!inner.contains(char::is_control) && !inner.contains("4;"), "{inner:?}");
            }
        }
        let long = of(&[("TERM", "foot")]).notification("bob", &"x".repeat(10_000));
        assert!(long.len() < 300);
    }
}
