//! Pictures as sixels, the graphics of DEC's VT340 (<https://vt100.net/docs/vt3xx-gp/chapter14.html>): bands of six rows, in
//! which each colour is drawn by itself, with one character for six pixels below each other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::pixels::Pixels;

/// The rows of a band.
pub const BAND: u32 = 6;

/// Encodes a picture with no more than so many colours. One sees through it where there is no pixel.
pub fn encode(pixels: &Pixels, colours: usize) -> String {
    let palette = Palette::of(pixels, colours);
    // To a text, writing cannot fail.
    let mut out = format!("\x1bP0;1q\"1;1;{};{}", pixels.width, pixels.height);
    for (register, colour) in palette.colours.iter().enumerate() {
        let [red, green, blue] = colour.map(|value| (u32::from(value) * 100 + 127) / 255);
        let _ = write!(out, "#{register};2;{red};{green};{blue}");
    }
    for top in (0..pixels.height).step_by(6) {
        if top > 0 {
            out.push('-');
        }
        // By colour, the six pixels at each place.
        let mut rows: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for x in 0..pixels.width {
            for bit in 0..6 {
                if let Some(register) = pixels.colour(x, top + bit).and_then(|colour| palette.register(colour)) {
                    rows.entry(register).or_insert_with(|| vec![0; pixels.width])[x] |= 1 << bit;
                }
            }
        }
        for (at, (register, row)) in rows.iter().enumerate() {
            let _ = write!(out, "{}#{register}", if at > 0 { "$" } else { "" });
            for run in row.chunk_by(|a, b| a == b) {
                let sixel = char::from(run[0] + b'?');
                let _ = match run.len() {
                    count @ 1..=3 => (0..count).try_for_each(|_| out.write_char(sixel)),
                    count => write!(out, "!{count}{sixel}"),
                };
            }
        }
    }
    out.push_str("\x1b\\");
    out
}

/// A few colours that stand for all of a picture.
struct Palette {
    colours: Vec<[u8; 3]>,
    /// By [`shade`], which of them stands for it.
    registers: BTreeMap<u16, usize>,
}

/// All pixels of one shade: how many they are, and the sum of each of their colours.
#[derive(Clone, Copy)]
struct Shade {
    shade: u16,
    count: u64,
    sums: [u64; 3],
}

/// What is taken for the same at first: the upper five bits of red, green and blue.
fn shade([red, green, blue]: [u8; 3]) -> u16 {
    u16::from(red >> 3) << 10 | u16::from(green >> 3) << 5 | u16::from(blue >> 3)
}

impl Shade {
    fn part(&self, colour: usize) -> u64 {
        self.sums[colour] / self.count
    }
}

impl Palette {
    /// Median cut (Heckbert, 1982): the shades are one group at first. Whichever group is worst, as it has many pixels that
    /// differ much, is cut in two where half of its pixels are, and so on. The mean of each is its colour.
    fn of(pixels: &Pixels, most: usize) -> Self {
        let mut shades: BTreeMap<u16, Shade> = BTreeMap::new();
        for colour in (0..pixels.height).flat_map(|y| (0..pixels.width).filter_map(move |x| pixels.colour(x, y))) {
            let shade = shade(colour);
            let entry = shades.entry(shade).or_insert(Shade { shade, count: 0, sums: [0; 3] });
            entry.count += 1;
            entry.sums.iter_mut().zip(colour).for_each(|(sum, value)| *sum += u64::from(value));
        }
        let mut groups = vec![shades.into_values().collect::<Vec<_>>()];
        while groups.len() < most {
            let Some((at, colour, badness)) =
                (0..groups.len()).map(|at| worst(&groups[at], at)).max_by_key(|&(_, _, badness)| badness)
            else {
                break;
            };
            if badness == 0 {
                break;
            }
            let mut group = std::mem::take(&mut groups[at]);
            group.sort_by_key(|shade| shade.part(colour));
            let half = group.iter().map(|shade| shade.count).sum::<u64>() / 2;
            let mut seen = 0;
            let cut = group.iter().take_while(|shade| {
                seen += shade.count;
                seen <= half
            });
            let cut = cut.count().clamp(1, group.len() - 1);
            groups.push(group.split_off(cut));
            groups[at] = group;
        }
        groups.retain(|group| !group.is_empty());
        let mean = |group: &Vec<Shade>| {
            let count: u64 = group.iter().map(|shade| shade.count).sum();
            [0, 1, 2].map(|colour| {
                let sum: u64 = group.iter().map(|shade| shade.sums[colour]).sum();
                u8::try_from((sum + count / 2) / count).unwrap_or(255)
            })
        };
        let colours = groups.iter().map(mean).collect();
        let of_group = |(register, group): (usize, &Vec<Shade>)| {
            group.iter().map(move |shade| (shade.shade, register)).collect::<Vec<_>>()
        };
        let registers = groups.iter().enumerate().flat_map(of_group).collect();
        Self { colours, registers }
    }

    fn register(&self, colour: [u8; 3]) -> Option<usize> {
        self.registers.get(&shade(colour)).copied()
    }
}

/// The group at `at`, which of its colours differs most, and how bad that is; 0 where it cannot be cut.
fn worst(group: &[Shade], at: usize) -> (usize, usize, u64) {
    let count: u64 = group.iter().map(|shade| shade.count).sum();
    let spread = |colour: usize| {
        let parts = || group.iter().map(|shade| shade.part(colour));
        parts().max().unwrap_or(0) - parts().min().unwrap_or(0)
    };
    let (colour, spread) =
        (0..3).map(|colour| (colour, spread(colour))).max_by_key(|&(_, spread)| spread).unwrap_or((0, 0));
    (at, colour, if group.len() > 1 { spread.max(1) * count } else { 0 })
}
