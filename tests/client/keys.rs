//! The keys and pastes that come from a terminal: how they edit the line, complete it and find those typed before, and what of
//! them is not said unasked.

use std::fs;
use std::process::Command;

use testkit::disk::faketime;
use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Server, binary, eventually};

use super::terminal::{alice, below, come_in, connect, input, lobby, local_modes, told, typed};

#[test]
fn keys_do_what_they_do_in_a_shell() {
    let (server, _bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 10), Emulator::Clipping);
    for (keys, row, column) in [
        ("abc\x1b[D\x1b[DX", "aXbc", 2),
        ("abc\x1b[HX\x1b[FY", "XabcY", 5),
        ("abc\x01X\x05Y", "XabcY", 5),
        ("one two\x17X", "one X", 5),
        ("one two\x17\x19\x19", "one twotwo", 10),
        ("one two\x1bb\x0b\x01\x19X", "twoXone", 4),
        ("one two\x15\x19!", "one two!", 8),
        ("ab\x7fc\x1b[D\x1b[3~", "a", 1),
        ("日本\x7f語", "日語", 4),
        ("日本\x1b[D\x1b[DX", "X日本", 1),
        ("e\u{301}x\x7f\x7fy", "y", 1),
        ("one two\x1b[1;5D\x1b[1;5DX\x1b[1;5CY", "Xone Ytwo", 6),
        ("nothing\x03", "", 0),
        ("a\x1b[200~one line\x1b[201~b", "aone lineb", 10),
        ("a\x1b[200~one line\n\x1b[201~b", "aone lineb", 10),
        ("\x1b[5~\x1b[20~\x1bOPx\x1b[<0;1;1Mz\x00", "xz", 2),
    ] {
        terminal.keys("\x03");
        terminal.keys(keys);
        let row = format!("#lobby> {row}");
        terminal.wait_until(&format!("{row:?} after {keys:?}"), |screen| {
            input(screen) == row.trim_end() && screen.cursor.1 == 8 + column
        });
    }
}

#[test]
fn what_was_typed_is_there_in_the_next_run() {
    let (server, mut bob) = lobby();
    let home = tempfile::tempdir().unwrap();
    let start = || {
        let server = server.address();
        let mut command = connect(&server, &[]);
        let terminal = Terminal::start(command.env("HOME", home.path()), 60, 10, Emulator::Clipping, Speaks::Nothing);
        come_in(&terminal, &server);
        terminal
    };
    let mut first = start();
    let before = first.modes();
    first.keys("good morning\r");
    bob.until("#lobby <alice> good morning");
    first.keys("/topic tea\r");
    bob.until("#lobby * alice topic tea");
    first.keys("/pass secret");
    typed(&first, "#lobby> /pass secret");
    first.keys("\r");
    typed(&first, "#lobby>");
    first.keys("\x1b[A");
    typed(&first, "#lobby> /topic tea");
    first.keys("\x03\x04");
    assert!(first.wait_exit().success());
    bob.until_starting("#lobby * alice quit");
    assert_ne!(local_modes(&first.modes()), local_modes(&before));
    let second = start();
    for (key, row) in [
        ("unfinished", "unfinished"),
        ("\x1b[A", "/topic tea"),
        ("\x10", "good morning"),
        ("\x1b[A", "good morning"),
        ("\x1b[B", "/topic tea"),
        ("\x0e", "unfinished"),
        ("\x1b[B", "unfinished"),
        // Who empties the row and begins anew comes to the newest first.
        ("\x1b[A", "/topic tea"),
        ("\x1b[A", "good morning"),
        ("\x15\x03\x1b[A", "/topic tea"),
    ] {
        second.keys(key);
        typed(&second, &format!("#lobby> {row}"));
    }
    second.keys("\x12");
    typed(&second, "(search)");
    second.keys("Morn");
    let screen = typed(&second, "(search) Morn: good morning");
    assert_eq!(screen.cursor.1, "(search) Morn".len());
    second.keys("\x12");
    typed(&second, "(search, no more) Morn: good morning");
    second.keys("\r");
    typed(&second, "#lobby> good morning");
    second.keys("!");
    typed(&second, "#lobby> good morning!");
    second.keys("\r");
    bob.until("#lobby <alice> good morning!");
}

#[test]
fn tab_completes() {
    let (server, mut bob) = lobby();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("with space.txt"), "text").unwrap();
    fs::create_dir(home.path().join("Pictures")).unwrap();
    let mut command = connect(&server.address(), &[]);
    let terminal = Terminal::start(command.env("HOME", home.path()), 70, 10, Emulator::Clipping, Speaks::Nothing);
    come_in(&terminal, &server.address());
    bob.send("/send #lobby 3 a.txt\n=YWJj");
    bob.until_starting("=1 . 3 ");
    told(&terminal, "bob shares a.txt (3 bytes) · /get 1");
    for (keys, row) in [
        ("/hel\t", "/help"),
        ("/sho\t1", "/show 1"),
        ("bo\tyes", "bob: yes"),
        ("hello b\tyes", "hello bob yes"),
        ("/leave #lo\tx", "/leave #lobby x"),
        ("/get \tx", "/get 1 x"),
        ("/send #lobby ~/wi\t", "/send #lobby ~/with space.txt"),
        ("/send #lobby ~/Pi\tx", "/send #lobby ~/Pictures/x"),
        ("/send bo\t~\tw\t", "/send bob ~/with space.txt"),
    ] {
        terminal.keys("\x03");
        terminal.keys(keys);
        typed(&terminal, &format!("#lobby> {row}"));
    }
    terminal.keys("\x03/un\t\t");
    told(&terminal, "/unignore");
    terminal.keys("\x03/\t\t");
    told(&terminal, "/away  /back  /ban");
    typed(&terminal, "#lobby> /");
}

#[test]
fn names_of_any_script_are_shown_completed_and_heard() {
    let server = Server::start(&["--rate", "0"]);
    let mut other = server.in_room("小明", "#кухня");
    let mut command = Command::new(binary());
    command.args(["connect", "--nick", "Алиса", "--join", "#кухня", &server.address()]);
    let terminal = Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing);
    terminal
        .wait_until("Алиса online", |screen| below(screen).contains("· Алиса ·") && input(screen) == "#кухня>");
    terminal.keys("小\tпривет");
    typed(&terminal, "#кухня> 小明: привет");
    terminal.keys("\r");
    other.until("#кухня <Алиса> 小明: привет");
    terminal.keys("/msg 小\tты здесь?");
    typed(&terminal, "#кухня> /msg 小明 ты здесь?");
    terminal.keys("\r");
    other.until("@Алиса <Алиса> ты здесь?");
    other.send("алиса, да");
    other.send("Алисам");
    told(&terminal, "<@小明> алиса, да");
    told(&terminal, "<@小明> Алисам");
    let raw = String::from_utf8(terminal.raw()).unwrap();
    assert_eq!(raw.matches('\x07').count(), 1, "the bell rings for a name and not for another word");
}

#[test]
fn many_lines_are_pasted_only_after_a_question() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 10), Emulator::Reflowing);
    // What looks like a command is said as it is, and so is what comes after it.
    let lines = ["one", "  two", "/quit", "leave", " /who", "register", "four"];
    let paste = format!("\x1b[200~{}\r\n\r\n{}\x1b[201~", lines[..2].join("\r\n"), lines[2..].join("\r\n"));
    let paste = paste.as_str();
    terminal.keys(format!("begun {paste}"));
    typed(&terminal, "line 3 begins with /quit; send all 7 as text to #lobby? y/n");
    terminal.keys("x\x7fn");
    typed(&terminal, "#lobby> begun");
    terminal.keys(paste);
    typed(&terminal, "line 3 begins with /quit; send all 7 as text to #lobby? y/n");
    terminal.keys("\x03");
    typed(&terminal, "#lobby> begun");
    terminal.keys("\x03");
    terminal.keys(paste);
    typed(&terminal, "line 3 begins with /quit; send all 7 as text to #lobby? y/n");
    assert_eq!(bob.settle().iter().filter(|line| line.contains("<alice>")).count(), 0);
    terminal.keys("y");
    for line in lines {
        let lines = bob.until(&format!("#lobby <alice> {line}"));
        assert!(!lines.iter().any(|line| line.contains("<alice>")), "{lines:?}");
    }
    typed(&terminal, "#lobby>");
    // A whole page, which takes as long as the flood control says.
    let page: String = (0..100).map(|n| format!("line {n}\r")).collect();
    terminal.keys(format!("\x1b[200~{page}\x1b[201~"));
    typed(&terminal, "send these 100 lines to #lobby? y/n");
    terminal.keys("y");
    (0..100).for_each(|n| drop(bob.until(&format!("#lobby <alice> line {n}"))));
    told(&terminal, "<alice> line 99");
}

#[test]
fn what_terminals_and_bad_lines_make_of_a_paste_is_not_said_unasked() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 10), Emulator::Reflowing);
    for paste in [
        // The terminal does not mark it.
        "one\r/quit\rthree",
        // Its end is lost, and the keyboard is not dead.
        "\x1b[200~one\r/quit\rthree",
    ] {
        terminal.keys(paste);
        typed(&terminal, "line 2 begins with /quit; send all 3 as text to #lobby? y/n");
        // A command that comes at once is no part of it, nor is it carried out unasked.
        terminal.keys("/query bob\r");
        typed(&terminal, "send 3 as text to #lobby? y/n; then: /query bob");
        terminal.keys("n");
        typed(&terminal, "#lobby> /query bob");
        terminal.keys("\x03");
        typed(&terminal, "#lobby>");
    }
    assert!(!bob.settle().iter().any(|line| line.contains("<alice>") || line.contains("quit")));
}

#[test]
fn the_start_of_a_paste_or_of_a_key_may_come_in_two_parts() {
    let Some(preload) = faketime() else { return };
    let (server, mut bob) = lobby();
    // A line that takes its time is waited for half a second. By the clock of this client that is long enough on the busiest machine.
    let mut command = connect(&server.address(), &[]);
    command.env("LD_PRELOAD", preload).env("FAKETIME", "+0 x0.02").env("FAKETIME_DISABLE_SHM", "1");
    let terminal = Terminal::start(&mut command, 60, 10, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &server.address());
    let keys_in_parts = |first: &str, second: &str| {
        terminal.keys(first);
        eventually("the first part has been read", || terminal.is_at_rest());
        terminal.keys(second);
    };
    for (first, second) in [("\x1b", "[200~"), ("\x1b[20", "0~"), ("\x1b[", "200~")] {
        keys_in_parts(first, &format!("{second}one\rtwo\x1b[201~"));
        typed(&terminal, "send these 2 lines to #lobby? y/n");
        terminal.keys("n");
        typed(&terminal, "#lobby>");
    }
    keys_in_parts("ab\x1b", "[Dc");
    typed(&terminal, "#lobby> acb");
    assert!(!bob.settle().iter().any(|line| line.contains("<alice>") || line.contains("quit")));
}

#[test]
fn nothing_that_is_typed_or_pasted_is_lost_without_a_word() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 10), Emulator::Reflowing);
    terminal.keys("x".repeat(4500));
    told(&terminal, "the line is full");
    terminal.keys("\x03");
    typed(&terminal, "#lobby>");
    let paste =
        |lines: usize, len: usize| format!("\x1b[200~{}\x1b[201~", format!("{}\r", "x".repeat(len)).repeat(lines));
    terminal.keys(paste(15_000, 10));
    told(&terminal, "the 15000 lines that you pasted are not taken");
    terminal.keys(paste(15_000, 100));
    told(&terminal, "what you pasted is not taken");
    typed(&terminal, "#lobby>");
    terminal.keys("\x1b[200~one\rtwo\x1b[201~");
    typed(&terminal, "send these 2 lines to #lobby? y/n");
    terminal.keys("\x1b[200~three\x1b[201~");
    typed(&terminal, "send these 3 lines to #lobby? y/n");
    terminal.keys("y");
    for line in ["one", "two", "three"] {
        bob.until(&format!("#lobby <alice> {line}"));
    }
}

#[test]
fn who_presses_ctrl_c_on_an_empty_line_is_told_how_to_leave() {
    let (server, _bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 10), Emulator::Reflowing);
    // Where something stands, it empties the line.
    terminal.keys("y\x03x");
    typed(&terminal, "#lobby> x");
    assert!(!terminal.screen().lines.iter().any(|line| line.contains("Ctrl-D")));
    terminal.keys("\x7f\x03\x03");
    let screen = told(&terminal, "Ctrl-D on the empty line leaves");
    assert_eq!(screen.lines.iter().filter(|line| line.contains("Ctrl-D")).count(), 1, "once is enough");
}
