//! Pictures in the terminal: by the kitty graphics protocol, as inline images of iTerm2, as sixels, or as coloured half blocks.
//!
//! What a terminal speaks is asked of it, as names of terminals say little. The sources are
//! <https://sw.kovidgoyal.net/kitty/graphics-protocol/>, <https://iterm2.com/documentation-images.html>,
//! <https://iterm2.com/feature-reporting/>, and <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html> for the rest.

pub mod blocks;
pub mod header;
pub mod pixels;
pub mod sixel;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use self::blocks::Colours;
use self::header::{Format, Header, Orientation};
use self::pixels::Pixels;
use crate::client::model::news::Extent;

/// What is written before the first picture is shown, to learn what the terminal speaks.
///
/// It is kitty's query with a picture of one pixel, iTerm2's feature report, its cell size, which terminals tell that show
/// pictures as it does but report no features, and what [`QUESTION_IN_TMUX`] asks.
pub const QUESTION: &str = concat!(
    "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
    "\x1b]1337;Capabilities\x1b\\",
    "\x1b]1337;ReportCellSize\x1b\\",
    "\x1b[16t\x1b[?1;1;0S\x1b[c"
);

/// What is written instead in tmux, which would take the other questions for a title and keep it: how large a cell is, how
/// many colours sixels may have, and last the primary device attributes. Every terminal answers those (`CSI ? … c`), and in
/// turn, so that their answer ends the wait for the others.
pub const QUESTION_IN_TMUX: &str = "\x1b[16t\x1b[?1;1;0S\x1b[c";

/// The most pixels of a side that kitty takes.
const LONGEST_SIDE: u32 = 10_000;
/// The most columns and rows of a thumbnail.
const THUMBNAIL: (u32, u32) = (40, 15);
/// Width and height of a cell in pixels where the terminal does not tell. Sixels are better too small than over the text.
const CELL: (u32, u32) = (8, 16);
/// Colours that sixels have, unless the terminal has fewer.
const COLOURS: usize = 256;

/// What the terminal has said of itself, and of the colours of its text.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Speaks {
    kitty: bool,
    /// Kitty's protocol is spoken by a terminal around tmux, which hands on what is for it.
    kitty_around_tmux: bool,
    iterm: bool,
    sixel: bool,
    /// How many colours sixels may have, if it has told.
    registers: Option<u16>,
    /// Width and height of a cell in pixels, if it has told.
    cell: Option<(u16, u16)>,
    /// The colours of text; `None` where there are to be none.
    text: Option<Colours>,
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

    /// Takes the primary device attributes, of which 4 stands for sixels.
    pub fn attributes(&mut self, attributes: &[u16]) {
        self.sixel |= attributes.contains(&4);
    }

    /// Takes how many colours sixels may have.
    pub fn registers(&mut self, registers: u16) {
        self.registers = Some(registers).filter(|&registers| registers > 1);
    }

    /// Takes the width and the height of a cell in pixels.
    pub fn cell(&mut self, width: u16, height: u16) {
        self.cell = Some((width, height)).filter(|&(width, height)| width > 0 && height > 0);
    }

    /// Takes what `TERM_PROGRAM` and `LC_TERMINAL` say of a terminal that has answered nothing.
    pub fn name(&mut self, names: [&str; 2]) {
        self.iterm |= names.iter().any(|name| matches!(*name, "iTerm.app" | "iTerm2" | "WezTerm"));
    }

    /// Takes what tmux says of itself: its option `allow-passthrough`, then the kind of terminal around it, in two ways.
    pub fn tmux(&mut self, told: &str) {
        let mut words = told.split_whitespace();
        let passes = matches!(words.next(), Some("on" | "all" | "1" | "2"));
        self.kitty_around_tmux |= passes && words.any(|word| word.contains("kitty") || word.contains("ghostty"));
    }

    /// Takes which colours text may have.
    pub fn text(&mut self, colours: Option<Colours>) {
        self.text = colours;
    }

    /// How a picture is shown best, within a window of this size. An error says why it is not shown at all.
    ///
    /// What the terminal takes as it came goes there so. Of kitty's protocol that is PNG only, and upright.
    pub fn plan(&self, header: &Header, extent: Extent, window: &Window) -> Result<Plan, String> {
        let is_small = header.size.0.max(header.size.1) <= LONGEST_SIDE;
        let is_kittys = is_small && header.format == Format::Png && header.orientation == Orientation::UPRIGHT;
        let colours = self.registers.map_or(COLOURS, usize::from).min(COLOURS);
        let (way, is_decoded) = match self.text {
            _ if self.kitty && is_kittys => (Way::Kitty, false),
            _ if self.iterm && is_small => (Way::Iterm, false),
            _ if self.kitty => (Way::Kitty, true),
            _ if self.kitty_around_tmux => (Way::KittyAroundTmux, !is_kittys),
            _ if self.sixel => (Way::Sixel(colours), true),
            Some(colours) => (Way::Blocks(colours), true),
            None => return Err("it cannot be shown here without colours".to_owned()),
        };
        if is_decoded {
            pixels::check(header)?;
        }
        let cell = match way {
            Way::Blocks(_) => (1, 2),
            _ => self.cell.map_or_else(|| window.cell(), |(width, height)| (width.into(), height.into())),
        };
        let (columns, mut rows) = window.room(extent);
        if way == Way::KittyAroundTmux {
            rows = rows.min(u32::try_from(ROWS.len()).unwrap_or(rows));
        }
        let mut room = (columns * cell.0, rows * cell.1);
        if matches!(way, Way::Sixel(_)) {
            // Terminals make room for whole bands.
            room.1 = (room.1 / sixel::BAND * sixel::BAND).max(1);
        }
        let upright = header.upright();
        let is_scaled = upright.0 > room.0 || upright.1 > room.1;
        let size = if is_scaled { fit(upright, room) } else { upright };
        let cells = |pixels: u32, cell: u32, most: u32| ((pixels + cell / 2) / cell).clamp(1, most);
        let cells = (cells(size.0, cell.0, columns), cells(size.1, cell.1, rows));
        Ok(Plan { way, is_decoded, size, is_scaled, cells, cell })
    }
}

/// How a picture is going to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    way: Way,
    is_decoded: bool,
    /// Width and height in pixels.
    size: (u32, u32),
    /// Whether that is less than the picture has.
    is_scaled: bool,
    /// About as many columns and rows.
    cells: (u32, u32),
    /// Width and height of a cell in pixels.
    cell: (u32, u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Kitty,
    KittyAroundTmux,
    Iterm,
    /// With so many colours.
    Sixel(usize),
    Blocks(Colours),
}

impl Plan {
    /// The size in pixels to which the picture is to be decoded; `None` if it goes to the terminal as it came.
    pub fn decodes_to(&self) -> Option<(usize, usize)> {
        let size = |side| usize::try_from(side).ok();
        size(self.size.0).zip(size(self.size.1)).filter(|_| self.is_decoded)
    }

    /// Whether there is more of the picture than is shown.
    pub fn is_scaled(&self) -> bool {
        self.is_scaled
    }

    /// The bytes that show a picture as it came where the cursor is, at the start of a line, and leave the cursor at the
    /// start of a line below it.
    ///
    /// `name` is what iTerm2 calls it. `id` is its own among those that are in a window of tmux, and not 0.
    pub fn show(&self, name: &str, bytes: &[u8], id: u8) -> String {
        let base64 = BASE64.encode(bytes);
        match self.way {
            Way::Iterm => self.iterm(name, &base64, bytes.len()),
            _ => self.kitty("f=100", &base64, id),
        }
    }

    /// The same for a picture that has been decoded.
    pub fn show_decoded(&self, pixels: &Pixels, id: u8) -> String {
        match self.way {
            Way::Sixel(colours) => self.sixel(&sixel::encode(pixels, colours)),
            Way::Blocks(colours) => blocks::draw(pixels, colours),
            Way::Kitty | Way::KittyAroundTmux | Way::Iterm => {
                let is_opaque = pixels.is_opaque();
                let format = if is_opaque { 24 } else { 32 };
                let rgb = || pixels.bytes().chunks(4).flat_map(|pixel| &pixel[..3]).copied().collect::<Vec<_>>();
                let base64 = if is_opaque { BASE64.encode(rgb()) } else { BASE64.encode(pixels.bytes()) };
                self.kitty(&format!("f={format},s={},v={}", pixels.width, pixels.height), &base64, id)
            }
        }
    }

    /// Kitty moves the cursor to the right of the last row of the picture, and scrolls if there is no room for that.
    ///
    /// Where only columns or only rows are given it reckons the other by the shape of the picture, but has done so since 0.35
    /// only, and others do not yet (kitty issue 7380, WezTerm issue 5402): they take as many rows as the picture has at full
    /// size. So it is given both, at the cost of a shape that is out by half a cell or so.
    ///
    /// In tmux the picture is handed to the terminal around it, and is in no place then: the text that stands for its cells,
    /// which tmux takes for any other, has the terminal show it there.
    fn kitty(&self, format: &str, base64: &str, id: u8) -> String {
        const PIECE: usize = 4096;
        let (columns, rows) = self.cells;
        let around = self.way == Way::KittyAroundTmux;
        let place = match self.is_scaled {
            _ if around => format!(",U=1,i={id},c={columns},r={rows}"),
            true => format!(",c={columns},r={rows}"),
            false => String::new(),
        };
        let mut out = String::with_capacity(base64.len() + (base64.len() / PIECE + 2) * 32);
        let mut keys = format!("a=T,{format}{place},");
        let mut rest = base64;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(PIECE));
            // Without `q` in every piece older kitties answer the last one (kitty issue 3375).
            let more = u8::from(!after.is_empty());
            let command = format!("\x1b_G{keys}q=2,m={more};{piece}\x1b\\");
            out.push_str(&if around { in_tmux(&command) } else { command });
            if after.is_empty() {
                break;
            }
            keys.clear();
            rest = after;
        }
        if !around {
            return out + "\r\n";
        }
        for mark in ROWS.iter().take(usize::try_from(rows).unwrap_or_default()) {
            // The colour is the number of the picture. What has no marks of its own continues what is left of it.
            out.push_str(&format!("\x1b[38;5;{id}m{CELLS}{mark}{}", ROWS[0]));
            out.extend((1..columns).map(|_| CELLS));
            out.push_str("\x1b[0m\r\n");
        }
        out
    }

    /// As in kitty, the cursor ends up at the right of the last row.
    fn iterm(&self, name: &str, base64: &str, bytes: usize) -> String {
        let (width, height) = match self.is_scaled {
            true => (self.cells.0.to_string(), self.cells.1.to_string()),
            false => ("auto".into(), "auto".into()),
        };
        let name = BASE64.encode(name);
        format!(
            "\x1b]1337;File=inline=1;size={bytes};name={name};width={width};height={height};preserveAspectRatio=1:{base64}\x07\r\n"
        )
    }

    /// Where the cursor is after sixels differs from terminal to terminal. So room is made for them first, and the cursor is
    /// put back afterwards.
    fn sixel(&self, sixels: &str) -> String {
        let rows = self.size.1.div_ceil(self.cell.1.max(1));
        let room = "\n".repeat(usize::try_from(rows).unwrap_or_default());
        format!("{room}\x1b[{rows}A\x1b7{sixels}\x1b8\x1b[{rows}B\r")
    }
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
    /// The rows that no picture takes, so that there is room for what is said of it.
    const FOR_TEXT: u16 = 3;

    /// The columns and rows that a picture may take.
    fn room(&self, extent: Extent) -> (u32, u32) {
        // After a picture that takes the last column the cursor is on the next line with some, and not with others.
        let columns = self.columns.saturating_sub(1).max(1).into();
        let rows = self.rows.saturating_sub(Self::FOR_TEXT).max(1).into();
        match extent {
            Extent::Full => (columns, rows),
            Extent::Thumbnail => (columns.min(THUMBNAIL.0), rows.min(THUMBNAIL.1)),
        }
    }

    /// Width and height of a cell in pixels, as the window's size tells.
    fn cell(&self) -> (u32, u32) {
        let cell = |pixels: u16, cells: u16, usual| match pixels.checked_div(cells) {
            None | Some(0) => usual,
            Some(pixels) => pixels.into(),
        };
        (cell(self.width, self.columns, CELL.0), cell(self.height, self.rows, CELL.1))
    }
}

/// The largest size of the same shape within `room`.
fn fit((width, height): (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let [width, height, across, down] = [width, height, room.0, room.1].map(u64::from);
    let side = |side: u64, most: u32| u32::try_from(side).unwrap_or(most).clamp(1, most);
    if width * down >= height * across {
        (room.0, side(across * height / width, room.1))
    } else {
        (side(down * width / height, room.0), room.1)
    }
}

/// Whether files are among the features of a report. A capital, small letters and digits make up one feature, and whatever
/// is neither ends the report. `F` is focus reporting as well as files, so there must be two of them; a terminal that has
/// files and no focus reporting is known by its cell size.
fn has_files(features: &str) -> bool {
    let end = features.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(features.len());
    let is_bare = |after: &&str| !after.starts_with(|c: char| c.is_ascii_lowercase());
    features[..end].split('F').skip(1).filter(is_bare).count() > 1
}

/// A sequence for the terminal around tmux.
fn in_tmux(sequence: &str) -> String {
    format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))
}

/// What stands for one cell of a picture of kitty's.
const CELLS: char = '\u{10eeee}';

/// What counts the rows and columns of it, from 0: the first of kitty's `rowcolumn-diacritics.txt`.
const ROWS: [char; 48] = [
    '\u{305}', '\u{30d}', '\u{30e}', '\u{310}', '\u{312}', '\u{33d}', '\u{33e}', '\u{33f}', '\u{346}', '\u{34a}',
    '\u{34b}', '\u{34c}', '\u{350}', '\u{351}', '\u{352}', '\u{357}', '\u{35b}', '\u{363}', '\u{364}', '\u{365}',
    '\u{366}', '\u{367}', '\u{368}', '\u{369}', '\u{36a}', '\u{36b}', '\u{36c}', '\u{36d}', '\u{36e}', '\u{36f}',
    '\u{483}', '\u{484}', '\u{485}', '\u{486}', '\u{487}', '\u{592}', '\u{593}', '\u{594}', '\u{595}', '\u{597}',
    '\u{598}', '\u{599}', '\u{59c}', '\u{59d}', '\u{59e}', '\u{59f}', '\u{5a0}', '\u{5a1}',
];

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { columns: 81, rows: 27, width: 81 * 10, height: 27 * 20 };
    const NOTHING: Speaks = Speaks {
        kitty: false,
        kitty_around_tmux: false,
        iterm: false,
        sixel: false,
        registers: None,
        cell: None,
        text: None,
    };
    const KITTY: Speaks = Speaks { kitty: true, ..NOTHING };
    const ITERM: Speaks = Speaks { iterm: true, ..NOTHING };
    const SIXEL: Speaks = Speaks { sixel: true, ..NOTHING };
    const TEXT: Speaks = Speaks { text: Some(Colours::True), ..NOTHING };
    const IN_TMUX: Speaks = Speaks { kitty_around_tmux: true, ..TEXT };

    fn header(format: Format, width: u32, height: u32) -> Header {
        Header { format, size: (width, height), orientation: Orientation::UPRIGHT }
    }

    fn plan(speaks: Speaks, format: Format, size: (u32, u32)) -> Plan {
        speaks.plan(&header(format, size.0, size.1), Extent::Full, &WINDOW).unwrap()
    }

    fn chequered(width: usize, height: usize) -> Pixels {
        let pixel =
            |at: usize| if (at % width + at / width).is_multiple_of(2) { [255, 0, 0, 255] } else { [0, 0, 255, 255] };
        Pixels::new((width, height), (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    type Command<'a> = (Vec<(&'a str, &'a str)>, &'a str);

    /// The keys of each graphics command, in order, with their payloads; and what comes after them.
    fn commands(mut out: &str) -> (Vec<Command<'_>>, &str) {
        let mut commands = Vec::new();
        while let Some(command) = out.strip_prefix("\x1b_G") {
            let (command, rest) = command.split_once("\x1b\\").unwrap();
            let (keys, payload) = command.split_once(';').unwrap();
            commands.push((keys.split(',').map(|key| key.split_once('=').unwrap()).collect(), payload));
            out = rest;
        }
        (commands, out)
    }

    fn key<'a>(keys: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
        keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
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
        assert_eq!(rest, format!("\x1b]1337;Capabilities\x1b\\\x1b]1337;ReportCellSize\x1b\\{QUESTION_IN_TMUX}"));
        assert!(QUESTION_IN_TMUX.ends_with("\x1b[c"));
    }

    #[test]
    fn answers() {
        let graphics = |answer: &str| {
            let mut speaks = NOTHING;
            speaks.graphics(answer);
            speaks
        };
        assert_eq!(graphics("i=31;OK"), KITTY);
        assert_eq!(graphics("i=31,p=1;OK"), KITTY);
        for other in ["", "i=31", "i=31;", "i=31;ENOSYS:no", "i=3;OK", "i=311;OK", "OK"] {
            assert_eq!(graphics(other), NOTHING, "{other}");
        }
        let report = |answer: &str| {
            let mut speaks = NOTHING;
            speaks.report(answer);
            speaks
        };
        for yes in ["FF", "T3LrMSc7UUw9Ts3BFGsGoSyHNoSxF", "FSxF", "F2F", "FT3F;x", "BFFiF"] {
            assert_eq!(report(&format!("Capabilities={yes}")), ITERM, "{yes}");
        }
        for no in ["", "T3LrMSc7", "F", "BFGs", "BFFi", "Fi", "SxFo2B", "f", "T3;F", "T3 F", "é", "=F"] {
            assert_eq!(report(&format!("Capabilities={no}")), NOTHING, "{no}");
        }
        assert_eq!(report("ReportCellSize=16.0;8.0;2.0"), ITERM);
        for other in ["", "F", "Capabilities", "ReportCellSize", "Copy=:F"] {
            assert_eq!(report(other), NOTHING, "{other}");
        }
        let mut both = KITTY;
        both.report("Capabilities=FF");
        both.report("Capabilities=T3");
        both.graphics("i=31;EINVAL");
        assert_eq!(both, Speaks { kitty: true, iterm: true, ..NOTHING });
        for (attributes, want) in [(&[62, 4, 22][..], SIXEL), (&[4], SIXEL), (&[62, 22], NOTHING), (&[64, 14], NOTHING)]
        {
            let mut speaks = NOTHING;
            speaks.attributes(attributes);
            assert_eq!(speaks, want, "{attributes:?}");
        }
        for (told, want) in [
            ("on xterm-kitty kitty(0.36.4)", true),
            ("all xterm-ghostty", true),
            ("1 xterm-256color ghostty 1.0.1", true),
            ("off xterm-kitty kitty(0.36.4)", false),
            ("0 xterm-kitty", false),
            ("xterm-kitty", false),
            ("on xterm-256color iTerm2 3.5", false),
            ("on", false),
            ("", false),
        ] {
            let mut speaks = NOTHING;
            speaks.tmux(told);
            assert_eq!(speaks.kitty_around_tmux, want, "{told}");
        }
    }

    #[test]
    fn each_terminal_gets_what_it_can_show() {
        let all = Speaks { kitty: true, iterm: true, sixel: true, ..TEXT };
        let others = Speaks { kitty: false, ..all };
        let size = (100, 50);
        for (speaks, format, way, is_decoded) in [
            (all, Format::Png, Way::Kitty, false),
            (all, Format::Jpeg, Way::Iterm, false),
            (KITTY, Format::Jpeg, Way::Kitty, true),
            (others, Format::Png, Way::Iterm, false),
            (Speaks { iterm: false, ..others }, Format::Png, Way::Sixel(256), true),
            (Speaks { registers: Some(16), ..SIXEL }, Format::Webp, Way::Sixel(16), true),
            (Speaks { registers: Some(65_535), ..SIXEL }, Format::Webp, Way::Sixel(256), true),
            (TEXT, Format::Png, Way::Blocks(Colours::True), true),
            (IN_TMUX, Format::Png, Way::KittyAroundTmux, false),
            (IN_TMUX, Format::Jpeg, Way::KittyAroundTmux, true),
        ] {
            let plan = plan(speaks, format, size);
            assert_eq!((plan.way, plan.is_decoded), (way, is_decoded), "{speaks:?} {format:?}");
        }
        let turned = Header { orientation: Header::of(TURNED).unwrap().orientation, ..header(Format::Png, 100, 50) };
        assert!(KITTY.plan(&turned, Extent::Full, &WINDOW).unwrap().is_decoded);
        assert!(NOTHING.plan(&turned, Extent::Full, &WINDOW).unwrap_err().contains("colours"));
    }

    const TURNED: &[u8] = include_bytes!("../../../tests/pictures/turned6.jpg");

    #[test]
    fn what_is_too_large_is_refused_before_it_is_decoded() {
        for speaks in [KITTY, SIXEL, TEXT, IN_TMUX] {
            let why = speaks.plan(&header(Format::Jpeg, 65_535, 65_535), Extent::Full, &WINDOW).err();
            assert_eq!(why.unwrap_or_default(), "it has 65535×65535 pixels, and no more than 50 million are shown");
        }
        let huge = header(Format::Png, u32::MAX, u32::MAX);
        assert!(KITTY.plan(&huge, Extent::Thumbnail, &WINDOW).is_err());
        assert_eq!(plan(KITTY, Format::Png, (10_000, 10_000)).way, Way::Kitty);
        // Kitty would refuse it as it is.
        assert!(plan(KITTY, Format::Png, (10_001, 9)).is_decoded);
    }

    #[test]
    fn kitty_gets_pieces_of_4096() {
        for len in [25, 3071, 3072, 3073, 3 * 3072 - 1, 3 * 3072, 3 * 3072 + 1, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i: usize| i.to_le_bytes()[0]).collect();
            let out = plan(KITTY, Format::Png, (100, 50)).show("a.png", &bytes, 1);
            let (commands, "\r\n") = commands(&out) else { panic!("{out}") };
            assert_eq!(commands.len(), BASE64.encode(&bytes).len().div_ceil(4096), "{len}");
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
    fn kitty_gets_pixels_of_what_is_no_png() {
        let pixels = chequered(5, 4);
        let out = plan(KITTY, Format::Jpeg, (5, 4)).show_decoded(&pixels, 1);
        let (whole, "\r\n") = commands(&out) else { panic!("{out}") };
        assert_eq!(["f", "s", "v"].map(|name| key(&whole[0].0, name)), [Some("24"), Some("5"), Some("4")]);
        let rgb = BASE64.decode(whole[0].1).unwrap();
        let wants: Vec<u8> = pixels.bytes().chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert_eq!(rgb, wants);
        let clear = Pixels::new((1, 1), vec![9, 8, 7, 6]).unwrap();
        let out = plan(KITTY, Format::Webp, (1, 1)).show_decoded(&clear, 1);
        let whole = commands(&out).0;
        assert_eq!((key(&whole[0].0, "f"), BASE64.decode(whole[0].1).unwrap()), (Some("32"), vec![9, 8, 7, 6]));
    }

    #[test]
    fn tmux_hands_a_picture_on_and_keeps_its_cells_as_text() {
        let plan = plan(IN_TMUX, Format::Png, (30, 40));
        let bytes = vec![7; 4000];
        let out = plan.show("a.png", &bytes, 200);
        let (handed_on, text) = out.rsplit_once("\x1b\\").unwrap();
        let handed_on = format!("{handed_on}\x1b\\");
        let (mut inner, mut rest) = (String::new(), handed_on.as_str());
        while let Some(part) = rest.strip_prefix("\x1bPtmux;") {
            // What it holds ends with a doubled one, and it itself with a single one.
            let end = part.find("\x1b\x1b\\\x1b\\").unwrap() + 3;
            inner.push_str(&part[..end].replace("\x1b\x1b", "\x1b"));
            rest = &part[end + 2..];
        }
        assert_eq!(rest, "");
        let (commands, "") = commands(&inner) else { panic!("{inner:?}") };
        assert_eq!(commands.len(), 2);
        let first = &commands[0].0;
        let wants = [Some("T"), Some("1"), Some("200"), Some("3"), Some("2")];
        assert_eq!(["a", "U", "i", "c", "r"].map(|name| key(first, name)), wants);
        let payload: String = commands.iter().map(|(_, piece)| *piece).collect();
        assert_eq!(BASE64.decode(payload).unwrap(), bytes);
        let row = |mark| format!("\x1b[38;5;200m\u{10eeee}{mark}\u{305}\u{10eeee}\u{10eeee}\x1b[0m\r\n");
        assert_eq!(text, row('\u{305}') + &row('\u{30d}'));
    }

    #[test]
    fn iterm_gets_it_whole() {
        for format in [Format::Png, Format::Jpeg, Format::Webp] {
            let (bytes, name) = (vec![0xaa; 5000], "\x07\x1b]:;=.png");
            let out = plan(ITERM, format, (100, 50)).show(name, &bytes, 1);
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
    fn sixels_have_room_and_leave_the_cursor_below() {
        // Two rows of 20 pixels, and a little of a third.
        let out = plan(SIXEL, Format::Jpeg, (30, 41)).show_decoded(&chequered(30, 41), 1);
        let sixels = out.strip_prefix("\n\n\n\x1b[3A\x1b7\x1bP0;1q\"1;1;30;41#0;2;").unwrap();
        assert!(sixels.ends_with("\x1b\\\x1b8\x1b[3B\r"), "{sixels:?}");
        let full = plan(SIXEL, Format::Jpeg, (7000, 7000));
        assert!(full.size.1.div_ceil(6) * 6 <= 24 * 20, "{full:?}");
    }

    #[test]
    fn what_is_too_large_is_scaled_down_and_keeps_its_shape() {
        // There is room for 80 by 24 cells of 10 by 20 pixels.
        let check = |size, window: &Window, extent, wants: Option<(u32, u32)>| {
            for speaks in [KITTY, ITERM] {
                let plan = speaks.plan(&header(Format::Png, size, 480), extent, window).unwrap();
                assert_eq!(plan.is_scaled.then_some(plan.cells), wants, "{size}");
            }
        };
        let check_all = |width: u32, height: u32, window: &Window, wants: Option<(u32, u32)>| {
            let plan = KITTY.plan(&header(Format::Png, width, height), Extent::Full, window).unwrap();
            assert_eq!(plan.is_scaled.then_some(plan.cells), wants, "{width}x{height}");
            let out = plan.show("a", b"a", 1);
            let whole = commands(&out).0;
            let told = wants.map(|(columns, rows)| (columns.to_string(), rows.to_string()));
            let told = told.as_ref().map(|(columns, rows)| (columns.as_str(), rows.as_str()));
            assert_eq!(key(&whole[0].0, "c").zip(key(&whole[0].0, "r")), told);
            let out = Speaks { kitty: false, iterm: true, ..KITTY }
                .plan(&header(Format::Png, width, height), Extent::Full, window)
                .unwrap()
                .show("a", b"a", 1);
            let (columns, rows) = told.unwrap_or(("auto", "auto"));
            assert_eq!(file(&out).0[3..5], [("width", columns), ("height", rows)]);
        };
        check_all(800, 480, &WINDOW, None);
        check_all(801, 480, &WINDOW, Some((80, 24)));
        check_all(800, 481, &WINDOW, Some((80, 24)));
        check_all(1600, 480, &WINDOW, Some((80, 12)));
        check_all(400, 960, &WINDOW, Some((20, 24)));
        check_all(4000, 3000, &WINDOW, Some((64, 24)));
        check_all(10_000, 1, &WINDOW, Some((80, 1)));
        check_all(1, 10_000, &WINDOW, Some((1, 24)));
        let untold = Window { width: 0, height: 0, ..WINDOW };
        check_all(640, 384, &untold, None);
        check_all(1280, 384, &untold, Some((80, 12)));
        for window in [Window { columns: 0, rows: 0, ..WINDOW }, Window { columns: 1, rows: 3, width: 8, height: 48 }] {
            check_all(100, 100, &window, Some((1, 1)));
        }
        check_all(1280, 384, &Window { width: 1, height: 1, ..WINDOW }, Some((80, 12)));
        // A thumbnail has 40 by 15 cells at most.
        check(400, &WINDOW, Extent::Full, None);
        check(400, &WINDOW, Extent::Thumbnail, Some((25, 15)));
        check(4800, &WINDOW, Extent::Thumbnail, Some((40, 2)));
        // What the terminal tells of a cell is surer than its window.
        let mut told = KITTY;
        told.cell(20, 40);
        assert!(!told.plan(&header(Format::Png, 1600, 960), Extent::Full, &WINDOW).unwrap().is_scaled);
        // A cell of text is two pixels.
        let text = TEXT.plan(&header(Format::Jpeg, 4000, 3000), Extent::Thumbnail, &WINDOW).unwrap();
        assert_eq!(text.decodes_to(), Some((40, 30)));
        let icon = TEXT.plan(&header(Format::Png, 16, 16), Extent::Thumbnail, &WINDOW).unwrap();
        assert_eq!((icon.decodes_to(), icon.is_scaled), (Some((16, 16)), false));
    }
}
