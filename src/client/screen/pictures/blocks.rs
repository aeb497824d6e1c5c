//! Pictures of coloured half blocks, for terminals that have nothing but text: each cell is two pixels, one above the other.

use std::fmt::Write as _;

use super::pixels::Pixels;

/// The colours that a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colours {
    /// Red, green and blue of 256 steps each.
    True,
    /// The 256 of xterm.
    Indexed,
}

/// Draws a picture as rows of text. A pixel that one sees through is left as the terminal has it.
pub fn draw(pixels: &Pixels, colours: Colours) -> String {
    let mut out = String::new();
    for y in (0..pixels.height).step_by(2) {
        let mut before = None;
        for x in 0..pixels.width {
            let pair = (pixels.colour(x, y), pixels.colour(x, y + 1));
            let (ink, ground, mark) = match pair {
                (None, lower) => (lower, None, if lower.is_some() { '▄' } else { ' ' }),
                (upper, lower) => (upper, lower, '▀'),
            };
            if before != Some((ink, ground)) {
                before = Some((ink, ground));
                out.push_str("\x1b[0");
                for (which, colour) in [(38, ink), (48, ground)] {
                    let Some([red, green, blue]) = colour else { continue };
                    // To a text, this cannot fail.
                    let _ = match colours {
                        Colours::True => write!(out, ";{which};2;{red};{green};{blue}"),
                        Colours::Indexed => write!(out, ";{which};5;{}", indexed([red, green, blue])),
                    };
                }
                out.push('m');
            }
            out.push(mark);
        }
        out.push_str("\x1b[0m\r\n");
    }
    out
}

/// The nearest of xterm's 256 colours: of the cube of six steps a side from 16 on, or of the 24 greys after it. The first
/// sixteen are what the person has made of them.
fn indexed(colour: [u8; 3]) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| (0..6u8).min_by_key(|&step| STEPS[usize::from(step)].abs_diff(value)).unwrap_or(0);
    let cube = colour.map(nearest);
    let mean = colour.iter().map(|&value| u16::from(value)).sum::<u16>() / 3;
    let grey = u8::try_from(mean.saturating_sub(3) / 10).unwrap_or(23).min(23);
    let distance =
        |other: [u8; 3]| colour.iter().zip(other).map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>();
    if distance([8 + 10 * grey; 3]) < distance(cube.map(|step| STEPS[usize::from(step)])) {
        232 + grey
    } else {
        16 + 36 * cube[0] + 6 * cube[1] + cube[2]
    }
}
