//! Pictures in the terminal: the kitty graphics protocol and the inline images of iTerm2.
//!
//! Which of the two a terminal speaks is asked of it, as names of terminals say little. The sources are
//! <https://sw.kovidgoyal.net/kitty/graphics-protocol/>, <https://iterm2.com/documentation-images.html> and
//! <https://iterm2.com/feature-reporting/>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What is written once, at the start, to learn what the terminal speaks.
///
/// It is kitty's query with a picture of one pixel, iTerm2's feature report, its cell size, which terminals tell that show
/// pictures as it does but report no features, and last the primary device attributes. Every terminal answers those
/// (`CSI ? … c`), and in turn, so that their answer ends the wait for the others.
pub const QUESTION: &str = concat!(
    "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
    "\x1b]1337;Capabilities\x1b\\",
    "\x1b]1337;ReportCellSize\x1b\\",
    "\x1b[c"
);

/// What the terminal has said it speaks: neither protocol, until an answer says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Speaks {
    kitty: bool,
    iterm: bool,
}

impl Speaks {
    /// Takes the answer to kitty's query: what stands between `ESC _ G` and its end, such as `i=31;OK`.
    pub fn graphics(&mut self, answer: &str) {
        if let Some((keys, "OK")) = answer.split_once(';') {
            self.kitty |= keys.split(',').any(|key| key == "i=31");
        }
    }

    /// Takes the answer to one of iTerm2's: what stands between `OSC 1337 ;` and its end, such as `Capabilities=T3BFSxF` or
    /// `ReportCellSize=16.0;8.0;2.0`.
    pub fn report(&mut self, answer: &str) {
        self.iterm |= match answer.split_once('=') {
            Some(("Capabilities", features)) => has_files(features),
            Some(("ReportCellSize", _)) => true,
            _ => false,
        };
    }

    /// The bytes that show a picture where the cursor is, at the start of a line, and leave the cursor at the start of a
    /// line below it.
    ///
    /// `name` is what iTerm2 calls it. `base64` is the whole of it, with padding. A picture that does not fit is scaled down
    /// to the `window` less three rows, so that there is room for what is said of it.
    ///
    /// `None` where the terminal cannot show this format (kitty's protocol has PNG only), or where `base64` is no picture of
    /// this format, or one with a side above 10,000 pixels, which kitty refuses.
    pub fn show(&self, format: Format, name: &str, base64: &str, window: &Window) -> Option<String> {
        // All of it is checked: whatever got through would drive the terminal.
        let bytes = BASE64.decode(base64).ok().filter(|bytes| Format::of_bytes(bytes) == Some(format))?;
        let size = size(&bytes).filter(|&(width, height)| width.max(height) <= LONGEST_SIDE)?;
        let cells = window.fit(size);
        match format {
            Format::Png if self.kitty => Some(kitty(base64, cells)),
            _ if self.iterm => Some(iterm(name, base64, bytes.len(), cells)),
            _ => None,
        }
    }
}

/// What a picture is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG, as of a camera.
    Jpeg,
}

impl Format {
    /// What a file of this name ought to be, by its extension in any case; `None` if that is not `png`, `jpg` or `jpeg`.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// What a file that starts with these bytes is, by its signature; `None` if it is neither, or too short to tell.
    pub fn of_bytes(start: &[u8]) -> Option<Self> {
        if start.starts_with(PNG) {
            Some(Self::Png)
        } else if start.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else {
            None
        }
    }
}

/// Width and height of a picture in pixels, as its header has them; `None` if it has none, or says zero.
///
/// That is the IHDR chunk of a PNG, which comes first, and the frame header of a JPEG (ITU-T T.81, B.2.2), which comes after
/// segments of any length.
pub fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = match Format::of_bytes(bytes)? {
        Format::Png => match bytes[PNG.len()..] {
            [_, _, _, _, b'I', b'H', b'D', b'R', a, b, c, d, e, f, g, h, ..] => {
                (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
            }
            _ => return None,
        },
        Format::Jpeg => frame(&bytes[2..])?,
    };
    (width > 0 && height > 0).then_some((width, height))
}

/// The size of the terminal's window.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Window {
    /// Cells in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Pixels from left to right; 0 where the terminal does not tell.
    pub width: u16,
    /// Pixels from top to bottom; 0 where the terminal does not tell.
    pub height: u16,
}

impl Window {
    /// The rows that no picture takes.
    const FOR_TEXT: u16 = 3;

    /// Columns and rows that a picture of this size in pixels is scaled down to; `None` if it fits as it is.
    fn fit(&self, (width, height): (u32, u32)) -> Option<(u64, u64)> {
        let cell = |pixels: u16, cells: u16, usual| match pixels.checked_div(cells) {
            None | Some(0) => usual,
            Some(pixels) => u64::from(pixels),
        };
        let (cell_width, cell_height) = (cell(self.width, self.columns, 8), cell(self.height, self.rows, 16));
        // After a picture that takes the last column the cursor is on the next line with some, and not with others.
        let columns = u64::from(self.columns.saturating_sub(1).max(1));
        let rows = u64::from(self.rows.saturating_sub(Self::FOR_TEXT).max(1));
        let (room_across, room_down) = (columns * cell_width, rows * cell_height);
        let (width, height) = (u64::from(width), u64::from(height));
        if width <= room_across && height <= room_down {
            return None;
        }
        let cells = |pixels: u64, cell: u64, most| ((pixels + cell / 2) / cell).clamp(1, most);
        Some(if width * room_down >= height * room_across {
            (columns, cells(room_across * height / width, cell_height, rows))
        } else {
            (cells(room_down * width / height, cell_width, columns), rows)
        })
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

const LONGEST_SIDE: u32 = 10_000;

/// Whether files are among the features of a report. A capital, small letters and digits make up one feature, and whatever
/// is neither ends the report. `F` is focus reporting as well as files, so there must be two of them; a terminal that has
/// files and no focus reporting is known by its cell size.
fn has_files(features: &str) -> bool {
    let end = features.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(features.len());
    let is_bare = |after: &&str| !after.starts_with(|c: char| c.is_ascii_lowercase());
    features[..end].split('F').skip(1).filter(is_bare).count() > 1
}

/// Width and height in the first frame header of these segments.
fn frame(mut segments: &[u8]) -> Option<(u32, u32)> {
    loop {
        segments = match *segments {
            // A marker may have any number of bytes to fill up before it.
            [0xff, 0xff, ..] => &segments[1..],
            // These markers stand alone.
            [0xff, 0x01 | 0xd0..=0xd7, ..] => &segments[2..],
            // The picture itself begins, or is over.
            [0xff, 0xd9 | 0xda, ..] => return None,
            // Not among the frames: tables for Huffman and for arithmetic coding, and a reserved one.
            [0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, _, _, _, a, b, c, d, ..] => {
                return Some((u16::from_be_bytes([c, d]).into(), u16::from_be_bytes([a, b]).into()));
            }
            [0xff, _, a, b, ..] => segments.get(2 + usize::from(u16::from_be_bytes([a, b]))..)?,
            _ => return None,
        };
    }
}

/// Kitty moves the cursor to the right of the last row of the picture, and scrolls if there is no room for that.
///
/// Where only columns or only rows are given it reckons the other by the shape of the picture, but has done so since 0.35
/// only, and others do not yet (kitty issue 7380, WezTerm issue 5402): they take as many rows as the picture has at full
/// size. So it is given both, at the cost of a shape that is out by half a cell or so.
fn kitty(base64: &str, cells: Option<(u64, u64)>) -> String {
    const PIECE: usize = 4096;
    let mut out = String::with_capacity(base64.len() + (base64.len() / PIECE + 2) * 32);
    out.push_str("\x1b_Ga=T,f=100,");
    if let Some((columns, rows)) = cells {
        out.push_str(&format!("c={columns},r={rows},"));
    }
    let mut rest = base64;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        // Without `q` in every piece older kitties answer the last one (kitty issue 3375).
        out.push_str(if after.is_empty() { "q=2,m=0;" } else { "q=2,m=1;" });
        out.push_str(piece);
        out.push_str("\x1b\\");
        if after.is_empty() {
            break;
        }
        out.push_str("\x1b_G");
        rest = after;
    }
    out.push_str("\r\n");
    out
}

/// As in kitty, the cursor ends up at the right of the last row.
fn iterm(name: &str, base64: &str, bytes: usize, cells: Option<(u64, u64)>) -> String {
    let (width, height) = match cells {
        Some((columns, rows)) => (columns.to_string(), rows.to_string()),
        None => ("auto".into(), "auto".into()),
    };
    let name = BASE64.encode(name);
    format!(
        "\x1b]1337;File=inline=1;size={bytes};name={name};width={width};height={height};preserveAspectRatio=1:{base64}\x07\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { columns: 81, rows: 27, width: 81 * 10, height: 27 * 20 };
    const KITTY: Speaks = Speaks { kitty: true, iterm: false };
    const ITERM: Speaks = Speaks { kitty: false, iterm: true };

    /// The header of a PNG, filled up to `len` bytes.
    fn png(width: u32, height: u32, len: usize) -> Vec<u8> {
        let mut bytes = [PNG, b"\0\0\0\x0dIHDR", &width.to_be_bytes(), &height.to_be_bytes()].concat();
        bytes.extend((bytes.len()..len).map(|i| i.to_le_bytes()[0]));
        bytes
    }

    /// A JPEG with long segments, fill bytes and a table before its frame header.
    fn jpeg(width: u16, height: u16, start_of_frame: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff];
        bytes.resize(bytes.len() + 0xfffd, 0xc0);
        bytes.extend([0xff, 0xff, 0xff, 0xc4, 0, 4, 0xff, 0xc0, 0xff, 0x01, 0xff, start_of_frame, 0, 17, 8]);
        bytes.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        bytes.extend([3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0xff, 0xda]);
        bytes
    }

    /// The keys of each graphics command, in order, with their payloads; panics if the output is anything else.
    fn commands(mut out: &str) -> Vec<(Vec<(&str, &str)>, &str)> {
        let mut commands = Vec::new();
        while let Some(command) = out.strip_prefix("\x1b_G") {
            let (command, rest) = command.split_once("\x1b\\").unwrap();
            let (keys, payload) = command.split_once(';').unwrap();
            commands.push((keys.split(',').map(|key| key.split_once('=').unwrap()).collect(), payload));
            out = rest;
        }
        assert_eq!(out, "\r\n");
        commands
    }

    /// The arguments of an inline image and its payload.
    fn file(out: &str) -> (Vec<(&str, &str)>, &str) {
        let out = out.strip_prefix("\x1b]1337;File=").unwrap().strip_suffix("\x07\r\n").unwrap();
        let (arguments, payload) = out.split_once(':').unwrap();
        (arguments.split(';').map(|argument| argument.split_once('=').unwrap()).collect(), payload)
    }

    #[test]
    fn the_question_asks_all_and_ends_with_what_every_terminal_answers() {
        let rest = QUESTION.strip_prefix("\x1b_G").unwrap();
        let (query, rest) = rest.split_once("\x1b\\").unwrap();
        let (keys, pixel) = query.split_once(';').unwrap();
        assert_eq!(BASE64.decode(pixel).unwrap().len(), 3);
        assert!(["i=31", "a=q", "s=1", "v=1", "f=24"].iter().all(|key| keys.split(',').any(|has| has == *key)));
        assert_eq!(rest, "\x1b]1337;Capabilities\x1b\\\x1b]1337;ReportCellSize\x1b\\\x1b[c");
    }

    #[test]
    fn answers() {
        let graphics = |answer: &str| {
            let mut speaks = Speaks::default();
            speaks.graphics(answer);
            speaks
        };
        assert_eq!(graphics("i=31;OK"), KITTY);
        assert_eq!(graphics("i=31,p=1;OK"), KITTY);
        for other in ["", "i=31", "i=31;", "i=31;ENOSYS:no", "i=3;OK", "i=311;OK", "OK"] {
            assert_eq!(graphics(other), Speaks::default(), "{other}");
        }
        let report = |answer: &str| {
            let mut speaks = Speaks::default();
            speaks.report(answer);
            speaks
        };
        for yes in ["FF", "T3LrMSc7UUw9Ts3BFGsGoSyHNoSxF", "FSxF", "F2F", "FT3F;x", "BFFiF"] {
            assert_eq!(report(&format!("Capabilities={yes}")), ITERM, "{yes}");
        }
        for no in ["", "T3LrMSc7", "F", "BFGs", "BFFi", "Fi", "SxFo2B", "f", "T3;F", "T3 F", "é", "=F"] {
            assert_eq!(report(&format!("Capabilities={no}")), Speaks::default(), "{no}");
        }
        assert_eq!(report("ReportCellSize=16.0;8.0;2.0"), ITERM);
        for other in ["", "F", "Capabilities", "ReportCellSize", "Copy=:F"] {
            assert_eq!(report(other), Speaks::default(), "{other}");
        }
        let mut both = KITTY;
        both.report("Capabilities=FF");
        both.report("Capabilities=T3");
        both.graphics("i=31;EINVAL");
        assert_eq!(both, Speaks { kitty: true, iterm: true });
    }

    #[test]
    fn formats_and_sizes() {
        for (name, format) in [
            ("a.png", Some(Format::Png)),
            ("a.b.PNG", Some(Format::Png)),
            ("a.JPG", Some(Format::Jpeg)),
            ("a.jpeg", Some(Format::Jpeg)),
            ("png", None),
            ("a.png.gz", None),
            ("", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
        assert_eq!(size(&png(640, 480, 33)), Some((640, 480)));
        assert_eq!(size(&png(0x0102_0304, 1, 0)), Some((0x0102_0304, 1)));
        assert_eq!(size(&png(0, 480, 33)), None);
        for start_of_frame in [0xc0, 0xc1, 0xc2, 0xcf] {
            assert_eq!(size(&jpeg(640, 480, start_of_frame)), Some((640, 480)));
        }
        for other in [0xc4, 0xc8, 0xcc] {
            assert_eq!(size(&jpeg(640, 480, other)), None);
        }
        assert_eq!(size(&jpeg(640, 0, 0xc0)), None);
        for whole in [png(640, 480, 24), jpeg(640, 480, 0xc2)[..65_558].to_vec()] {
            assert_eq!(size(&whole), Some((640, 480)));
            for len in 0..whole.len() {
                assert_eq!(size(&whole[..len]), None, "{len}");
            }
        }
        assert_eq!(size(b"\xff\xd8\xff\xe0\0\0"), None);
        assert_eq!(size(b"GIF89a\x01\0\x01\0"), None);
    }

    #[test]
    fn kitty_gets_pieces_of_4096() {
        for len in [25, 3071, 3072, 3073, 3 * 3072 - 1, 3 * 3072, 3 * 3072 + 1, 100_000] {
            let bytes = png(100, 50, len);
            let base64 = BASE64.encode(&bytes);
            let out = KITTY.show(Format::Png, "a.png", &base64, &WINDOW).unwrap();
            let commands = commands(&out);
            assert_eq!(commands.len(), base64.len().div_ceil(4096), "{len}");
            let ((last, end), pieces) = commands.split_last().unwrap();
            assert!((1..=4096).contains(&end.len()) && pieces.iter().all(|(_, piece)| piece.len() == 4096));
            assert!(last.contains(&("m", "0")) && pieces.iter().all(|(keys, _)| keys.contains(&("m", "1"))));
            let (first, others) = commands.split_first().unwrap();
            assert_eq!(first.0[..3], [("a", "T"), ("f", "100"), ("q", "2")]);
            assert!(others.iter().all(|(keys, _)| keys.len() == 2 && keys[0] == ("q", "2")));
            let payload: String = commands.iter().map(|(_, piece)| *piece).collect();
            assert_eq!(BASE64.decode(payload).unwrap(), bytes);
        }
    }

    #[test]
    fn iterm_gets_it_whole() {
        for (format, bytes) in [(Format::Png, png(100, 50, 5000)), (Format::Jpeg, jpeg(100, 50, 0xc0))] {
            let base64 = BASE64.encode(&bytes);
            let name = "\x07\x1b]:;=.png";
            let out = ITERM.show(format, name, &base64, &WINDOW).unwrap();
            let (arguments, payload) = file(&out);
            let wants = [
                ("inline", "1"),
                ("size", &*bytes.len().to_string()),
                ("name", &*BASE64.encode(name)),
                ("width", "auto"),
                ("height", "auto"),
                ("preserveAspectRatio", "1"),
            ];
            assert_eq!(arguments, wants);
            assert_eq!(BASE64.decode(payload).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_too_large_is_scaled_down_and_keeps_its_shape() {
        // There is room for 80 by 24 cells of 10 by 20 pixels.
        let check = |width, height, window: &Window, wants: Option<(&str, &str)>| {
            let base64 = BASE64.encode(png(width, height, 30));
            let out = KITTY.show(Format::Png, "a", &base64, window).unwrap();
            let keys = &commands(&out)[0].0;
            let key = |name| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            assert_eq!(key("c").zip(key("r")), wants, "{width}x{height}");
            let out = ITERM.show(Format::Png, "a", &base64, window).unwrap();
            let (columns, rows) = wants.unwrap_or(("auto", "auto"));
            assert_eq!(file(&out).0[3..5], [("width", columns), ("height", rows)]);
        };
        check(800, 480, &WINDOW, None);
        check(801, 480, &WINDOW, Some(("80", "24")));
        check(800, 481, &WINDOW, Some(("80", "24")));
        check(1600, 480, &WINDOW, Some(("80", "12")));
        check(400, 960, &WINDOW, Some(("20", "24")));
        check(4000, 3000, &WINDOW, Some(("64", "24")));
        check(10_000, 1, &WINDOW, Some(("80", "1")));
        check(1, 10_000, &WINDOW, Some(("1", "24")));
        let untold = Window { width: 0, height: 0, ..WINDOW };
        check(640, 384, &untold, None);
        check(1280, 384, &untold, Some(("80", "12")));
        for window in [Window { columns: 0, rows: 0, ..WINDOW }, Window { columns: 1, rows: 3, width: 8, height: 48 }] {
            check(100, 100, &window, Some(("1", "1")));
        }
        check(1280, 384, &Window { width: 1, height: 1, ..WINDOW }, Some(("80", "12")));
    }

    #[test]
    fn each_terminal_gets_what_it_can_show() {
        let (png, jpeg) = (BASE64.encode(png(9, 9, 40)), BASE64.encode(jpeg(9, 9, 0xc0)));
        let both = Speaks { kitty: true, iterm: true };
        let shows = |speaks: Speaks, format, base64: &str| speaks.show(format, "a", base64, &WINDOW);
        assert!(shows(both, Format::Png, &png).unwrap().starts_with("\x1b_G"));
        assert!(shows(both, Format::Jpeg, &jpeg).unwrap().starts_with("\x1b]1337;"));
        assert_eq!(shows(KITTY, Format::Jpeg, &jpeg), None);
        assert_eq!(shows(Speaks::default(), Format::Png, &png), None);
        assert_eq!(shows(both, Format::Jpeg, &png), None);
        assert_eq!(shows(both, Format::Png, &jpeg), None);
    }

    #[test]
    fn nothing_but_a_picture_reaches_the_terminal() {
        let both = Speaks { kitty: true, iterm: true };
        let good = BASE64.encode(png(9, 9, 30));
        for bad in ["", "AAAA", "\x1b", &good[1..], &good[..8]] {
            assert_eq!(both.show(Format::Png, "a", bad, &WINDOW), None, "{bad}");
        }
        for hostile in ["\x1b", "\x07", "\r", "\n", " ", ";", ":", "-", "_", "=", "\0", "\u{9c}", "é"] {
            for at in [0, 20, good.len()] {
                let bad = format!("{}{hostile}{}", &good[..at], &good[at..]);
                assert_eq!(both.show(Format::Png, "a", &bad, &WINDOW), None, "{bad:?}");
            }
        }
        assert!(both.show(Format::Png, "a", &BASE64.encode(png(10_000, 10_000, 30)), &WINDOW).is_some());
        assert_eq!(both.show(Format::Png, "a", &BASE64.encode(png(10_001, 9, 30)), &WINDOW), None);
        assert_eq!(both.show(Format::Png, "a", &BASE64.encode(png(9, u32::MAX, 30)), &WINDOW), None);
    }
}
