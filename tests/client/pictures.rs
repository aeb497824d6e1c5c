//! Pictures in the terminal, by each way that terminals have: what arrives there is decoded, and looks as the picture does.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::client::screen::pictures::blocks::{self, Colours};
use chinwag::client::screen::pictures::pixels::Pixels;
use chinwag::client::screen::pictures::{QUESTION, QUESTION_IN_TMUX, sixel};
use fastrand::Rng;
use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Client, Server};

use super::hostile::resident;
use super::sharing::share;
use super::terminal::{come_in, connect, lobby, told};

/// Red, green, blue and white quarters, of 64 by 32 pixels in all. A camera that was held sideways took it.
const JPEG: &[u8] = include_bytes!("../pictures/turned6.jpg");
/// The same as WebP, but one sees through its last quarter.
const WEBP: &[u8] = include_bytes!("../pictures/clear.webp");
/// The same as PNG.
const PNG: &[u8] = include_bytes!("../pictures/clear.png");

/// The colours of a picture, row by row; `None` where one sees through it.
#[derive(Debug, PartialEq)]
struct Seen {
    width: usize,
    height: usize,
    colours: Vec<Option<[u8; 3]>>,
}

impl Seen {
    #[track_caller]
    fn is_quartered(&self, last: Option<[u8; 3]>) {
        for (x, y, want) in
            [(1, 1, Some([255, 0, 0])), (3, 1, Some([0, 200, 0])), (1, 3, Some([0, 0, 255])), (3, 3, last)]
        {
            let have = self.colours[self.height * y / 4 * self.width + self.width * x / 4];
            let is_like = match (have, want) {
                (Some(have), Some(want)) => have.iter().zip(want).all(|(have, want)| have.abs_diff(want) < 20),
                (have, want) => have == want,
            };
            assert!(is_like, "{have:?} and not {want:?} at {x}/4, {y}/4 of {} by {}", self.width, self.height);
        }
    }
}

/// Draws sixels as a terminal does.
fn draw_sixels(sixels: &str) -> Seen {
    fn number<'a>(rest: &mut &'a str) -> usize {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after): (&'a str, &'a str) = rest.split_at(end);
        *rest = after;
        number.parse().unwrap()
    }
    fn numbers(rest: &mut &str) -> Vec<usize> {
        let mut numbers = vec![number(rest)];
        while let Some(after) = rest.strip_prefix(';') {
            *rest = after;
            numbers.push(number(rest));
        }
        numbers
    }
    let mut rest = sixels.strip_prefix("\"").unwrap();
    let [1, 1, width, height] = numbers(&mut rest)[..] else { panic!("its shape") };
    let mut seen = Seen { width, height, colours: vec![None; width * height] };
    let (mut palette, mut colour) = (vec![None; 256], None);
    let (mut x, mut top, mut count) = (0, 0, 1);
    while let Some(mark) = rest.chars().next() {
        rest = &rest[mark.len_utf8()..];
        match mark {
            '#' => match numbers(&mut rest)[..] {
                [register] => colour = palette[register],
                [register, 2, red, green, blue] => {
                    let part = |value| u8::try_from((value * 255 + 50) / 100).unwrap();
                    palette[register] = Some([red, green, blue].map(part));
                }
                _ => panic!("a colour"),
            },
            '!' => count = number(&mut rest),
            '$' => x = 0,
            '-' => (x, top) = (0, top + 6),
            '?'..='~' => {
                for x in x..x + count {
                    for y in (0..6).filter(|bit| (mark as u32 - '?' as u32) >> bit & 1 == 1) {
                        assert!(x < width && top + y < height, "{x}, {} is outside", top + y);
                        seen.colours[(top + y) * width + x] = Some(colour.unwrap());
                    }
                }
                (x, count) = (x + count, 1);
            }
            _ => panic!("{mark:?}"),
        }
    }
    seen
}

/// Draws half blocks as a terminal does.
fn draw_blocks(text: &str) -> Seen {
    let rows: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    let (mut colours, mut width) = (Vec::new(), 0);
    for row in &rows {
        let mut halves = [Vec::new(), Vec::new()];
        for part in row.split('\x1b').skip(1) {
            let (codes, marks) = part.strip_prefix('[').unwrap().split_once('m').unwrap();
            let mut codes = codes.split(';').map(|code| code.parse::<u8>().unwrap());
            assert_eq!(codes.next(), Some(0));
            let mut pair = (None, None);
            while let Some(which) = codes.next() {
                let colour = match codes.next() {
                    Some(2) => [codes.next(), codes.next(), codes.next()].map(Option::unwrap),
                    Some(5) => match codes.next().unwrap() {
                        cube @ 16..=231 => {
                            [36, 6, 1].map(|part| [0, 95, 135, 175, 215, 255][usize::from((cube - 16) / part % 6)])
                        }
                        grey => [8 + 10 * (grey - 232); 3],
                    },
                    _ => panic!("{part:?}"),
                };
                *(if which == 38 { &mut pair.0 } else { &mut pair.1 }) = Some(colour);
            }
            for mark in marks.chars() {
                let (upper, lower) = match mark {
                    '▀' => pair,
                    '▄' => (pair.1, pair.0),
                    ' ' => (pair.1, pair.1),
                    _ => panic!("{mark:?}"),
                };
                halves[0].push(upper);
                halves[1].push(lower);
            }
        }
        width = halves[0].len();
        colours.extend(halves.concat());
    }
    Seen { width, height: rows.len() * 2, colours }
}

#[test]
fn sixels_and_half_blocks_look_as_the_picture_does() {
    let mut random = Rng::with_seed(12);
    for (width, height) in [(1, 1), (1, 7), (7, 1), (6, 6), (40, 30), (63, 47)] {
        let mut bytes: Vec<u8> = (0..width * height * 4).map(|_| random.u8(..)).collect();
        bytes.chunks_mut(4).for_each(|pixel| pixel[3] = if random.u8(..10) == 0 { 0 } else { 255 });
        let pixels = Pixels::new((width, height), bytes).unwrap();
        let wants: Vec<_> = (0..width * height).map(|at| pixels.colour(at % width, at / width)).collect();
        let check = |what: &str, seen: Seen, tolerance: u32| {
            assert_eq!(seen.width, width, "{what}");
            let mut away = 0;
            for (at, want) in wants.iter().enumerate() {
                assert_eq!(seen.colours[at].is_some(), want.is_some(), "{what} at {at}");
                let pair = seen.colours[at].iter().flatten().zip(want.iter().flatten());
                away += pair.map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
            }
            // A mean, as of noise no few colours are near to all.
            let mean = away / u32::try_from(wants.len() * 3).unwrap();
            assert!(mean <= tolerance, "{what}: {mean} away at {width} by {height}");
        };
        for (colours, tolerance) in [(256, 16), (16, 45), (2, 70)] {
            let out = sixel::encode(&pixels, colours);
            let sixels = out.strip_prefix("\x1bP0;1q").unwrap().strip_suffix("\x1b\\").unwrap();
            // They are counted from 0.
            assert!(!sixels.contains(&format!("#{colours};")));
            check(&format!("{colours} sixels"), draw_sixels(sixels), tolerance);
        }
        check("true blocks", draw_blocks(&blocks::draw(&pixels, Colours::True)), 0);
        check("indexed blocks", draw_blocks(&blocks::draw(&pixels, Colours::Indexed)), 16);
    }
    // Few colours stay what they are.
    let few = Pixels::new((2, 1), vec![255, 0, 0, 255, 51, 102, 204, 255]).unwrap();
    let out = sixel::encode(&few, 256);
    let seen = draw_sixels(out.strip_prefix("\x1bP0;1q").unwrap().strip_suffix("\x1b\\").unwrap());
    assert_eq!(seen.colours, [Some([255, 0, 0]), Some([51, 102, 204])]);
}

/// Somebody in the lobby with a terminal of this kind, to which bob shows pictures.
struct Viewer {
    _server: Server,
    bob: Client,
    terminal: Terminal,
    downloads: tempfile::TempDir,
}

impl Viewer {
    fn new(speaks: Speaks, set: &[(&str, &str)]) -> Self {
        let (server, bob) = lobby();
        let downloads = tempfile::tempdir().unwrap();
        let address = server.address();
        let mut command = connect(&address, &["--downloads", downloads.path().to_str().unwrap()]);
        command.envs(set.iter().copied());
        let terminal = Terminal::start(&mut command, 100, 30, Emulator::Clipping, speaks);
        come_in(&terminal, &address);
        Self { _server: server, bob, terminal, downloads }
    }

    /// Has a picture shown, and returns what was written for it between these two.
    #[track_caller]
    fn show(&mut self, name: &str, bytes: &[u8], more: &str, (start, end): (&str, &str)) -> String {
        let id = share(&mut self.bob, name, bytes);
        told(&self.terminal, &format!("· /show {id} · /get {id}"));
        let before = self.terminal.raw().len();
        self.terminal.keys(format!("/show {id}{more}\r"));
        let find = |raw: &[u8]| {
            let text = String::from_utf8_lossy(&raw[before..]).into_owned();
            let (_, text) = text.split_once(name)?;
            let (_, text) = text.split_once(start)?;
            text.split_once(end).map(|(text, _)| text.to_owned())
        };
        let raw = self.terminal.wait_until_raw("the picture", |raw| find(raw).is_some());
        find(&raw).unwrap()
    }
}

const BLOCKS: (&str, &str) = (":\r\n", "\x1b[?7l");

#[test]
fn a_terminal_with_sixels_gets_sixels() {
    let mut viewer = Viewer::new(Speaks::Sixel, &[]);
    let seen = draw_sixels(&viewer.show("cat.jpg", JPEG, "", ("\x1bP0;1q", "\x1b\\")));
    assert_eq!((seen.width, seen.height), (64, 32));
    seen.is_quartered(Some([255; 3]));
    let seen = draw_sixels(&viewer.show("cat.webp", WEBP, "", ("\x1bP0;1q", "\x1b\\")));
    seen.is_quartered(None);
    viewer.terminal.keys("fine");
    viewer.terminal.wait_until("what is typed", |screen| screen.rows.iter().any(|row| row == "#lobby> fine"));
}

#[test]
fn a_terminal_with_nothing_but_text_gets_half_blocks() {
    for (set, name, bytes, last) in [
        (&[("COLORTERM", "truecolor")][..], "cat.jpg", JPEG, Some([255; 3])),
        (&[], "cat.webp", WEBP, None),
        // In screen nothing is asked, and elsewhere too nothing is left of the question.
        (&[("STY", "1.pts-1.here"), ("TERM", "screen-256color")], "cat.png", PNG, None),
    ] {
        let mut viewer = Viewer::new(Speaks::Nothing, set);
        let small = draw_blocks(&viewer.show(name, bytes, "", BLOCKS));
        assert_eq!((small.width, small.height), (40, 20));
        small.is_quartered(last);
        assert_eq!(fs::read_dir(viewer.downloads.path()).unwrap().count(), 0);
        let full = draw_blocks(&viewer.show(&format!("large {name}"), bytes, " full", BLOCKS));
        assert_eq!((full.width, full.height), (64, 32));
        full.is_quartered(last);
        let raw = String::from_utf8(viewer.terminal.raw()).unwrap();
        assert_eq!(raw.contains(QUESTION), set.len() < 2);
        assert!(set.len() < 2 || !raw.contains("\x1b[c"));
        assert_eq!(raw.matches(" full shows more of it):\r\n").count(), 1, "{raw:?}");
    }
}

#[test]
fn kitty_gets_what_it_cannot_decode_as_pixels() {
    let mut viewer = Viewer::new(Speaks::Kitty, &[]);
    for (name, bytes, size, last) in [("cat.jpg", JPEG, 3, Some([255; 3])), ("cat.webp", WEBP, 4, None)] {
        let command = viewer.show(name, bytes, "", ("\x1b_G", "\x1b\\\r\n"));
        let pieces: Vec<(&str, &str)> =
            command.split("\x1b\\\x1b_G").map(|piece| piece.split_once(';').unwrap()).collect();
        let keys: Vec<&str> = pieces[0].0.split(',').collect();
        let format = format!("f={}", size * 8);
        assert!(["a=T", &format, "s=64", "v=32"].iter().all(|key| keys.contains(key)), "{keys:?}");
        let data: String = pieces.iter().map(|piece| piece.1).collect();
        let data = BASE64.decode(data).unwrap();
        let colour = |pixel: &[u8]| (pixel.get(3) != Some(&0)).then(|| [pixel[0], pixel[1], pixel[2]]);
        Seen { width: 64, height: 32, colours: data.chunks(size).map(colour).collect() }.is_quartered(last);
    }
}

#[test]
fn in_tmux_a_picture_is_handed_on_if_tmux_says_so() {
    let here = "/tmp/tmux-0/default,1,0";
    for (told, tmux_is, is_handed_on) in [
        ("on xterm-kitty kitty(0.36.4)", here, true),
        ("off xterm-kitty kitty(0.36.4)", here, false),
        // It is on the machine that we came from, and what one on this machine says is of no use.
        ("on xterm-kitty kitty(0.36.4)", "", false),
    ] {
        // tmux itself would want a server, and a terminal around it.
        let folder = tempfile::tempdir().unwrap();
        let tmux = folder.path().join("tmux");
        fs::write(&tmux, format!("#!/bin/sh\necho '{told}'\n")).unwrap();
        fs::set_permissions(&tmux, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let set = [("PATH", &*path), ("TMUX", tmux_is), ("TERM", "tmux-256color")];
        let mut viewer = Viewer::new(Speaks::Nothing, &set);
        if is_handed_on {
            let handed_on = viewer.show("cat.png", PNG, "", ("\x1bPtmux;\x1b\x1b_G", "\x1b\x1b\\\x1b\\"));
            let (keys, data) = handed_on.split_once(';').unwrap();
            assert!(["a=T", "U=1", "f=100"].iter().all(|key| keys.split(',').any(|has| has == *key)), "{keys}");
            assert_eq!(BASE64.decode(data).unwrap(), PNG);
            let row = "\u{10eeee}".repeat(6);
            viewer.terminal.wait_until_raw("its cells", |raw| {
                let text = String::from_utf8_lossy(raw).replace(['\u{305}', '\u{30d}'], "");
                text.matches(&format!("m{row}\x1b[0m\r\n")).count() == 2
            });
        } else {
            draw_blocks(&viewer.show("cat.png", PNG, "", BLOCKS)).is_quartered(None);
        }
        let raw = String::from_utf8(viewer.terminal.raw()).unwrap();
        assert!(raw.contains(QUESTION_IN_TMUX) && !raw.contains(QUESTION));
    }
}

#[test]
fn what_cannot_be_shown_is_told_and_saved() {
    let mut bomb = include_bytes!("../pictures/turned1.jpg").to_vec();
    let frame = bomb.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].fill(0xff);
    let mut large = PNG.to_vec();
    large[16..24].copy_from_slice(&[0, 0, 0x1b, 0x58, 0, 0, 0x1b, 0x58]);
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(2000).collect();
    let noise = [&PNG[..33], &noise].concat();
    let mut viewer = Viewer::new(Speaks::Sixel, &[]);
    for (name, bytes, why) in [
        ("bomb.jpg", &bomb[..], "it has 65535×65535 pixels, and no more than 50 million are shown"),
        ("large.png", &large, "it cannot be decoded"),
        ("noise.png", &noise, "it cannot be decoded"),
        ("cut.png", &PNG[..PNG.len() / 2], "it cannot be decoded"),
        ("none.png", b"this is text", "it is no picture that can be shown: PNG, JPEG and WebP can"),
    ] {
        let saved = viewer.downloads.path().join(name);
        let id = share(&mut viewer.bob, name, bytes);
        viewer.terminal.keys(format!("/show {id}\r"));
        told(&viewer.terminal, why);
        told(&viewer.terminal, &format!("saved {}", saved.display()));
        assert_eq!(fs::read(saved).unwrap(), bytes);
        let most = resident(viewer.terminal.pid());
        assert!(most < 50_000, "{most} KB after {name}");
    }
    // Two thousand bytes that are fifty million pixels may be shown, but elsewhere.
    viewer.show("huge.webp", include_bytes!("../pictures/huge.webp"), "", ("\x1bP0;1q", "\x1b\\"));
    let most = resident(viewer.terminal.pid());
    assert!(most < 50_000, "{most} KB after huge.webp");
    // The next one is shown all the same.
    draw_sixels(&viewer.show("cat.jpg", JPEG, "", ("\x1bP0;1q", "\x1b\\"))).is_quartered(Some([255; 3]));
}

#[test]
fn a_picture_of_too_many_bytes_is_saved() {
    let mut viewer = Viewer::new(Speaks::Sixel, &[]);
    let bytes = vec![0; (12 << 20) + 1];
    let id = share(&mut viewer.bob, "large.jpg", &bytes);
    viewer.terminal.keys(format!("/show {id}\r"));
    told(&viewer.terminal, "✗ showing large.jpg: it has more than 12 MB, and is saved instead");
    let saved = viewer.downloads.path().join("large.jpg");
    told(&viewer.terminal, &format!("saved {}", saved.display()));
    assert_eq!(fs::metadata(saved).unwrap().len(), (12 << 20) + 1);
}

#[test]
fn without_colours_a_picture_is_saved() {
    let mut viewer = Viewer::new(Speaks::Nothing, &[("NO_COLOR", "1")]);
    let id = share(&mut viewer.bob, "cat.jpg", JPEG);
    viewer.terminal.keys(format!("/show {id}\r"));
    told(&viewer.terminal, "it cannot be shown here without colours");
    let saved = viewer.downloads.path().join("cat.jpg");
    told(&viewer.terminal, &format!("saved {}", saved.display()));
}

#[test]
fn a_picture_is_decoded_in_a_process_of_its_own() {
    let decode = |bytes: &[u8]| {
        let mut child = Command::new(testkit::binary())
            .args(["decode", "8", "4"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap()
    };
    let out = decode(JPEG);
    assert!(out.status.success());
    assert_eq!(out.stdout.len(), 8 * 4 * 4);
    let out = decode(&JPEG[..100]);
    assert!(!out.status.success() && out.stdout.is_empty());
}

#[test]
fn a_picture_that_a_redraw_has_lost_can_be_shown_again() {
    let (server, mut bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let address = server.address();
    let mut command = connect(&address, &["--downloads", folder.path().to_str().unwrap()]);
    let terminal = Terminal::start(command.env("STY", "1.x"), 100, 30, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &address);
    let id = share(&mut bob, "cat.png", PNG);
    told(&terminal, "shares cat.png");
    terminal.keys(format!("/show {id}\r"));
    let heading = format!("cat.png (/show {id} full shows more of it):");
    told(&terminal, &heading);
    terminal.resize(100, 20);
    told(&terminal, &format!("· cat.png: /show {id} shows it again"));
    assert_eq!(String::from_utf8_lossy(&terminal.raw()).matches(&heading).count(), 1);
}
