//! What chinwag costs as its work grows: with the members of a room, and with those who are online.

use std::path::Path;

use plotters::prelude::*;

use super::dialect::name;
use super::figures::Figures;
use super::host::{Host, Meter, cores};
use super::load::Load;
use super::peers::Peer;
use super::picture::{Drawn, text};
use super::results::{Results, count, digits};
use super::rounds::{Plan, about, beside};
use super::talk::Room;
use super::wire::Wire;
use super::works::Size;
use chinwag_bench::{Outcome, failed, raise_limit};

/// Where the figures are written down, in the folder of the build.
const FIGURES: &str = "growth.tsv";
/// Members of a room.
const ROOMS: &[usize] = &[10, 30, 100, 300, 1000, 3000, 5000];
/// People online besides.
const ONLINE: &[usize] = &[100, 1000, 5000, 15_000];
/// Members of the room in which those online are not.
const ROOM: usize = 100;
/// So many come, rename themselves and go, each time.
const VISITORS: usize = 500;

const DELIVERY: &str = "µs a delivery";
const CONNECT: &str = "µs to come in";
const RENAME: &str = "µs to rename";
const LEAVE: &str = "µs to leave";
const MEMORY: &str = "bytes a person";
const A_ROOM: &str = "bytes a room";

/// Runs everything in rounds, prints the tables, and writes down the figures and the picture.
pub fn run(plan: &Plan) -> Outcome<()> {
    let largest = ONLINE.iter().max().copied().unwrap_or_default() + ROOM + VISITORS;
    raise_limit(largest as u64 + 500)?;
    let cores = cores()?;
    let mut results = Results::new(about(&cores)?);
    let least = if plan.size == Size::Full { usize::MAX } else { 1000 };
    for round in 1..=plan.rounds {
        for &members in ROOMS.iter().filter(|members| **members <= least) {
            for (peer, group) in [(Peer::Chinwag, "room"), (Peer::Bare(1), "bare")] {
                let host = Host::start(peer, Wire::Clear, &cores, &[])?;
                results.add(round, group, &members.to_string(), &room(&host, members)?);
            }
        }
        let host = Host::start(Peer::Chinwag, Wire::Clear, &cores, &[])?;
        online(&host, least, |online, figures| results.add(round, "online", &online.to_string(), figures))?;
        let host = Host::start(Peer::Chinwag, Wire::Clear, &cores, &[])?;
        results.add(round, "rooms", "1000", &rooms(&host, 1000)?);
        eprintln!("{round}/{}", plan.rounds);
    }
    results.save(&beside()?.join(FIGURES))?;
    draw(&beside()?)
}

/// Prints the tables of what was written down, and draws its picture into a folder.
pub fn draw(folder: &Path) -> Outcome<()> {
    let figures = beside()?.join(FIGURES);
    let results = Results::read(&figures)?;
    println!("{}", table(&results));
    let picture = folder.join("growth.svg");
    charts(&results, &picture).map_err(failed(&picture.display().to_string()))?;
    println!("The picture is {}, the figures are in {}.", picture.display(), figures.display());
    Ok(())
}

/// People without presence: what it costs is spread over time, and no part of what one of them does.
fn quiet(host: &Host) -> Outcome<Load> {
    let mut load = Load::new(host.dialect)?;
    load.besides = "/set presence off\n";
    Ok(load)
}

/// One line at a time to a room of so many.
fn room(host: &Host, members: usize) -> Outcome<Figures> {
    let mut room = Room::of(quiet(host)?, host, members, 1)?;
    talk(&mut room, host, (100_000 / members).clamp(50, 2000))
}

/// So many lines, one after the other.
fn talk(room: &mut Room, host: &Host, lines: usize) -> Outcome<Figures> {
    room.flat(1, lines / 10)?;
    let meter = Meter::start(host)?;
    room.flat(1, lines)?;
    let spent = meter.stop(host)?;
    Ok(Figures::new(DELIVERY, spent.each(lines as u64 * u64::from(room.roll.listeners)), spent))
}

/// The same with more and more people online: a room of a hundred, some who come, rename themselves and go, and the
/// memory.
fn online(host: &Host, most: usize, mut tell: impl FnMut(usize, &Figures)) -> Outcome<()> {
    let nobody = host.resident()?;
    let mut room = Room::of(quiet(host)?, host, ROOM, 1)?;
    for &online in ONLINE.iter().filter(|online| **online <= most) {
        let there = room.load.len() - room.load.left - ROOM;
        room.load.arrive(host, online - there)?;
        room.load.settle()?;
        let bytes = host.resident()?.saturating_sub(nobody) as f64 / (online + ROOM) as f64;
        let mut figures = talk(&mut room, host, 1000)?;
        figures.add(MEMORY, bytes);
        let load = &mut room.load;
        let (first, count) = (load.len(), VISITORS as u64);
        let visitors = first..first + VISITORS;
        let meter = Meter::start(host)?;
        load.arrive(host, VISITORS)?;
        figures.add(CONNECT, meter.stop(host)?.each(count));
        let meter = Meter::start(host)?;
        load.ask(visitors.clone(), |who| format!("/nick x{}\n", name(who)), |line| line.starts_with(b"+ nick "))?;
        figures.add(RENAME, meter.stop(host)?.each(count));
        let meter = Meter::start(host)?;
        load.leave(visitors)?;
        figures.add(LEAVE, meter.stop(host)?.each(count));
        tell(online, &figures);
    }
    Ok(())
}

/// What a room costs in which one person is.
fn rooms(host: &Host, count: usize) -> Outcome<Figures> {
    let mut load = quiet(host)?;
    load.arrive(host, count)?;
    load.settle()?;
    let (meter, before) = (Meter::start(host)?, host.resident()?);
    load.ask(0..count, |who| format!("/join #{}\n", name(who)), |line| line.starts_with(b"+ join "))?;
    load.settle()?;
    let bytes = host.resident()?.saturating_sub(before) as f64 / count as f64;
    Ok(Figures::new(A_ROOM, bytes, meter.stop(host)?))
}

/// The tables, in Markdown.
fn table(results: &Results) -> String {
    let mut text: String = results.about.iter().fold(String::new(), |text, line| text + "- " + line + "\n");
    let mut put = |group: &str, title: &str, sizes: &[usize], whats: &[&str]| {
        let sizes = sizes.iter().filter(|size| results.spread(group, &size.to_string(), whats[0]).is_some());
        let sizes: Vec<usize> = sizes.copied().collect();
        let heads: Vec<String> = sizes.iter().map(|size| count(*size as f64)).collect();
        text += &format!("\n| {title} | {} |\n| --- |{}\n", heads.join(" | "), " --- |".repeat(sizes.len()));
        for what in whats {
            let cells: Vec<String> = sizes
                .iter()
                .filter_map(|size| results.spread(group, &size.to_string(), what))
                .map(|spread| format!("{} ({}–{})", digits(spread.median), digits(spread.least), digits(spread.most)))
                .collect();
            text += &format!("| {what} | {} |\n", cells.join(" | "));
        }
    };
    put("room", "members of the room", ROOMS, &[DELIVERY]);
    put("bare", "the same in the bare loop", ROOMS, &[DELIVERY]);
    put("online", "online besides a room of 100", ONLINE, &[DELIVERY, CONNECT, RENAME, LEAVE, MEMORY]);
    put("rooms", "rooms with one person", &[1000], &[A_ROOM]);
    text
}

/// One line of a chart: its name, its colour, and its points.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

/// Draws deliveries on the left, and coming and going on the right.
fn charts(results: &Results, path: &Path) -> Drawn {
    let line = |title, group: &str, sizes: &[usize], what: &str, colour| -> Line {
        let point = |size: &usize| Some((*size as f64, results.spread(group, &size.to_string(), what)?.median));
        (title, colour, sizes.iter().filter_map(point).collect())
    };
    let grey = RGBColor(150, 150, 150);
    let (blue, red, green) = (RGBColor(0, 90, 181), RGBColor(220, 50, 32), RGBColor(0, 140, 90));
    let area = SVGBackend::new(path, (900, 380)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(450);
    let deliveries = [
        line("the bare loop", "bare", ROOMS, DELIVERY, grey),
        line("by the members of the room", "room", ROOMS, DELIVERY, blue),
        line("a room of 100, by the others online", "online", ONLINE, DELIVERY, red),
    ];
    chart(&left, "a delivery, µs of processor time", &deliveries)?;
    let coming = [
        line("to come in", "online", ONLINE, CONNECT, blue),
        line("to rename oneself", "online", ONLINE, RENAME, red),
        line("to leave", "online", ONLINE, LEAVE, green),
    ];
    chart(&right, "one person, µs of processor time, by those online", &coming)?;
    area.present()?;
    Ok(())
}

fn chart(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, title: &str, lines: &[Line]) -> Drawn {
    let points = || lines.iter().flat_map(|line| &line.2);
    let (least, most) = points().fold((f64::MAX, 0_f64), |(a, b), point| (a.min(point.0), b.max(point.0)));
    let highest = points().fold(0_f64, |highest, point| highest.max(point.1)) * 1.4;
    let ink = RGBColor(40, 40, 40);
    let mut chart = ChartBuilder::on(area)
        .caption(title, text(16, ink))
        .margin(14)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d((least.max(1.0)..most.max(2.0)).log_scale(), 0.0..highest.max(0.1))?;
    let number = |x: &f64| count(*x);
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .label_style(text(12, ink))
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .draw()?;
    for (title, colour, points) in lines {
        let style = ShapeStyle::from(colour).stroke_width(2);
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*title)
            .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(WHITE)
        .label_font(text(13, ink))
        .draw()?;
    Ok(())
}
