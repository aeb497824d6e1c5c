//! The picture: what each server costs in each work, beside chinwag.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::peers::Peer;
use super::results::{Results, digits};
use super::table::{COLUMNS, ROWS, Row};
use super::works::Work;
use chinwag_bench::{Outcome, failed};

/// Colours that people tell apart who see few, on white.
const COLOURS: &[(Peer, RGBColor)] = &[
    (Peer::Bare(1), RGBColor(120, 120, 120)),
    (Peer::Bare(16), RGBColor(150, 150, 150)),
    (Peer::Bare(64), RGBColor(190, 190, 190)),
    (Peer::Chinwag, RGBColor(0, 90, 181)),
    (Peer::Inspircd, RGBColor(220, 50, 32)),
    (Peer::Hybrid, RGBColor(230, 159, 0)),
    (Peer::Ngircd, RGBColor(0, 140, 90)),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(215, 215, 215);

const WIDTH: u32 = 900;
const ROW: i32 = 46;
const TOP: i32 = 92;
const BOTTOM: i32 = 46;
/// Where the axis begins and ends; the labels stand to its left.
const LEFT: i32 = 300;
const RIGHT: i32 = 860;

/// Text in the picture, with a size.
pub fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour)
}

/// Text with its place beside the point.
pub fn placed(size: u32, colour: RGBColor, h: HPos) -> TextStyle<'static> {
    text(size, colour).pos(Pos::new(h, VPos::Center))
}

/// Draws the costs relative to chinwag's, on a scale of powers.
pub fn draw(results: &Results, path: &Path) -> Outcome<()> {
    let own = |row: &Row| results.of(row, Peer::Chinwag).map(|spread| spread.median);
    let rows: Vec<(&Row, f64)> =
        ROWS.iter().filter(|row| row.short.is_some()).filter_map(|row| Some((row, own(row)?))).collect();
    // What the bare loop holds in memory is no limit of anything.
    let is_drawn = |row: &Row, peer: Peer| {
        !(matches!(peer, Peer::Bare(_)) && row.work == Work::Connect10000 && row.what != "µs each")
    };
    let ratio = |row: &Row, own: f64, peer: Peer| {
        results.of(row, peer).filter(|_| is_drawn(row, peer)).map(|spread| spread.median / own)
    };
    let all = rows.iter().flat_map(|(row, own)| COLOURS.iter().filter_map(move |(peer, _)| ratio(row, *own, *peer)));
    let (least, most) =
        all.filter(|ratio| *ratio > 0.0).fold((0.5_f64, 2.0_f64), |(a, b), ratio| (a.min(ratio), b.max(ratio)));
    // The scale goes on by 1, 2, 5, 10.
    let marks: Vec<f64> = (-4..5).flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(e))).collect();
    let from = marks.iter().copied().rfind(|mark| *mark <= least).unwrap_or(least);
    let to = marks.iter().copied().find(|mark| *mark >= most).unwrap_or(most);
    let x = |ratio: f64| LEFT + ((ratio.max(from) / from).ln() / (to / from).ln() * f64::from(RIGHT - LEFT)) as i32;
    let height = TOP + ROW * rows.len() as i32 + BOTTOM;
    let path = path.display().to_string();
    let area = SVGBackend::new(&path, (WIDTH, height as u32)).into_drawing_area();
    let drawn = (|| -> Drawn {
        area.fill(&WHITE)?;
        area.draw(&Text::new("What the same work costs, beside chinwag", (20, 18), text(20, INK)))?;
        legend(&area, results)?;
        let bottom = height - BOTTOM + 6;
        for mark in marks.iter().copied().filter(|mark| (from..=to).contains(mark)) {
            let colour = if mark == 1.0 { INK } else { FAINT };
            area.draw(&PathElement::new([(x(mark), TOP - 8), (x(mark), bottom)], colour))?;
            area.draw(&Text::new(format!("{mark}×"), (x(mark), bottom + 12), placed(12, INK, HPos::Center)))?;
        }
        for (n, (row, own)) in rows.iter().enumerate() {
            let y = TOP + ROW * n as i32 + ROW / 2;
            let label = row.short.unwrap_or_default().replace("{n}", &results.people(row.work));
            area.draw(&Text::new(label, (LEFT - 16, y - 8), placed(15, INK, HPos::Right)))?;
            let unit = row.what.trim_start_matches("server ");
            let unit = if unit.starts_with("MB ") { "MB" } else { unit };
            let cost = format!("{} {unit}", digits(*own));
            area.draw(&Text::new(cost, (LEFT - 16, y + 9), placed(12, COLOURS[3].1, HPos::Right)))?;
            area.draw(&PathElement::new([(LEFT, y), (RIGHT, y)], FAINT))?;
            // Ours is drawn last, on top.
            for (peer, colour) in COLOURS.iter().filter(|(peer, _)| *peer != Peer::Chinwag).chain([&COLOURS[3]]) {
                if let Some(ratio) = ratio(row, *own, *peer).filter(|ratio| *ratio > 0.0) {
                    // Those that are alike must not hide each other.
                    let aside = match peer {
                        Peer::Inspircd => -11,
                        Peer::Ngircd => 11,
                        _ => 0,
                    };
                    mark(&area, *peer, *colour, (x(ratio), y + aside))?;
                }
            }
        }
        let note = "further right costs more; the figures are chinwag's";
        area.draw(&Text::new(note, (RIGHT, bottom + 30), placed(12, INK, HPos::Right)))?;
        area.present()?;
        Ok(())
    })();
    drawn.map_err(failed(&path))
}

/// What drawing comes to.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The limits are strokes, the servers dots.
fn mark(area: &Area<'_>, peer: Peer, colour: RGBColor, at: (i32, i32)) -> Drawn {
    if matches!(peer, Peer::Bare(_)) {
        area.draw(&Rectangle::new([(at.0 - 2, at.1 - 11), (at.0 + 2, at.1 + 11)], colour.filled()))?;
    } else {
        area.draw(&Circle::new(at, 6, WHITE.filled()))?;
        area.draw(&Circle::new(at, 5, colour.filled()))?;
    }
    Ok(())
}

fn legend(area: &Area<'_>, results: &Results) -> Drawn {
    let mut x = 26;
    for (peer, name) in COLUMNS {
        let Some((_, colour)) = COLOURS.iter().find(|(other, _)| other == peer) else { continue };
        if ROWS.iter().any(|row| row.short.is_some() && results.of(row, *peer).is_some()) {
            mark(area, *peer, *colour, (x, 60))?;
            area.draw(&Text::new(*name, (x + 12, 60), placed(13, INK, HPos::Left)))?;
            x += 40 + 7 * name.len() as i32;
        }
    }
    Ok(())
}
