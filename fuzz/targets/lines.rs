//! The line buffer, behind telnet: whatever comes in, in whatever pieces and however it is taken, the same lines come out of it, and
//! it holds no more memory than it says.
#![no_main]

use arbitrary::{Result, Unstructured};
use chinwag::limits::{self, CHUNK_LINE, LINE, SERVER_LINE};
use chinwag::linebuf::{Ending, Line, LineBuf};
use chinwag::telnet::Telnet;
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| {
    let mut plan = Unstructured::new(bytes);
    if let Ok((limit, steps)) = read(&mut plan) {
        check(limit, &steps);
    }
});

/// What is done to a line buffer.
#[derive(Debug)]
enum Step {
    Feed(Vec<u8>),
    /// So many lines are taken, or as many as there are.
    Take(usize),
    Release,
    /// The chunk that is under way is of no use to anybody.
    Hollow,
}

/// Bytes that mean something to a line buffer.
const TELLING: &[u8] = b"a=\n\r\0\xff\xf0\xf1\xf7\xf8\xfa\xfb\xfc\xfd\xfe\xef\xbb\xbf\x08\x15\x17\x7f";

fn read(plan: &mut Unstructured<'_>) -> Result<(usize, Vec<Step>)> {
    let limit = *plan.choose(&[LINE, SERVER_LINE, 4, 5, 40, 64])?;
    let mut steps = Vec::new();
    // Long runs are what limits are met with, but too many of them only make it slow.
    let (mut long_runs, mut chunk_runs) = (4, usize::from(limit == SERVER_LINE));
    while !plan.is_empty() && steps.len() < 200 {
        let step = match plan.int_in_range(0..=15u8)? {
            0..4 => {
                let len = usize::from(plan.int_in_range(0..=24u8)?).min(plan.len());
                Step::Feed(plan.bytes(len)?.to_vec())
            }
            4 => {
                let len = plan.int_in_range(0..=7u8)?;
                Step::Feed((0..len).map(|_| plan.choose(TELLING).copied()).collect::<Result<_>>()?)
            }
            5 => Step::Feed(vec![*plan.choose(TELLING)?; plan.arbitrary::<u8>()?.into()]),
            6 if long_runs > 0 => {
                long_runs -= 1;
                let about = *plan.choose(&[limit, limits::SUBNEGOTIATION.into()])?;
                Step::Feed(vec![*plan.choose(TELLING)?; (about + plan.int_in_range(0..=7usize)?).saturating_sub(4)])
            }
            15 if chunk_runs > 0 => {
                chunk_runs -= 1;
                Step::Feed(vec![*plan.choose(b"a=\xff")?; CHUNK_LINE + plan.int_in_range(0..=7usize)? - 4])
            }
            7 => Step::Release,
            8 => Step::Hollow,
            _ => Step::Take(*plan.choose(&[usize::MAX, 1, 2, 3])?),
        };
        steps.push(step);
    }
    Ok((limit, steps))
}

fn check(limit: usize, steps: &[Step]) {
    let whole: Vec<u8> = steps
        .iter()
        .filter_map(|step| if let Step::Feed(bytes) = step { Some(&bytes[..]) } else { None })
        .collect::<Vec<_>>()
        .concat();
    let want = run(limit, &[Step::Feed(whole.clone())]);
    // Of a chunk that is of no use only its length counts.
    let hollow = steps.iter().any(|step| matches!(step, Step::Hollow));
    let as_fed = run(limit, steps);
    if hollow {
        let bare = |seen: Vec<Seen>| -> Vec<Seen> {
            seen.into_iter()
                .map(|line| if line.0 == "chunk" { ("chunk", vec![], line.2, line.3) } else { line })
                .collect()
        };
        assert_eq!(bare(as_fed.0), bare(want.0.clone()), "as it was fed, with chunks that nobody wants");
        assert_eq!(as_fed.1, want.1);
    } else {
        assert_eq!(as_fed, want, "as it was fed");
    }
    if whole.len() <= 300 {
        let bytes: Vec<Step> = whole.iter().flat_map(|&b| [Step::Feed(vec![b]), Step::Take(usize::MAX)]).collect();
        assert_eq!(run(limit, &bytes), want, "byte by byte");
    }
    check_memory(limit, steps);
}

/// A line as it can be kept: its kind, its bytes, how it ended, and whether it did not end by itself.
type Seen = (&'static str, Vec<u8>, Ending, bool);

/// What comes out of a connection that does this and then ends its input: lines, and answers to telnet options.
fn run(limit: usize, steps: &[Step]) -> (Vec<Seen>, Vec<u8>) {
    let (mut lines, mut refusals, mut seen) = (LineBuf::new(limit), Vec::new(), Vec::new());
    let mut telnet = Telnet::default();
    for step in steps {
        match step {
            Step::Feed(bytes) => telnet.filter(bytes, &mut refusals, |data| lines.type_in(data)),
            Step::Take(most) => {
                for _ in 0..*most {
                    let Some(line) = take(&mut lines, limit, seen.is_empty()) else { break };
                    seen.push(line);
                }
            }
            Step::Release => lines.release(),
            // Nobody does that to a shorter one, which keys may still make a text.
            Step::Hollow if lines.is_endless() => lines.hollow_chunk(),
            Step::Hollow => {}
        }
    }
    lines.end();
    while let Some(line) = take(&mut lines, limit, seen.is_empty()) {
        seen.push(line);
    }
    assert!(lines.is_empty() && take(&mut lines, limit, false).is_none(), "something is left");
    (seen, refusals)
}

fn take(lines: &mut LineBuf, limit: usize, first: bool) -> Option<Seen> {
    let is_chunk = lines.at_chunk();
    // Before the first line a byte order mark may still hide what follows, and nobody can have asked.
    let is_unfinished = lines.at_unfinished() && !first;
    let (line, ending) = lines.next_line()?;
    assert!(first || is_chunk == matches!(line, Line::Chunk(_) | Line::TooLong { chunk: true, .. }));
    let (kind, bytes) = match line {
        Line::Text(text) => {
            assert!(!text.starts_with(b"="));
            // What ends with the input may be as long as a line without its ending would be.
            assert!(text.len() <= limit);
            ("text", text)
        }
        Line::Chunk(chunk) => {
            assert!(chunk.len() <= CHUNK_LINE);
            ("chunk", chunk)
        }
        Line::TooLong { chunk, start } => {
            assert!(!start.is_empty() && start.len() <= 32 && chunk == start.starts_with(b"="));
            (if chunk { "chunk too long" } else { "text too long" }, start)
        }
    };
    assert!(!bytes.contains(&b'\n') && !bytes.windows(2).any(|pair| pair == b"\r\0"));
    Some((kind, bytes.to_vec(), ending, is_unfinished))
}

/// Every step but taking lets what is held grow at most by what was fed.
fn check_memory(limit: usize, steps: &[Step]) {
    let before = MEMORY.current_usage();
    let mut lines = LineBuf::new(limit);
    for step in steps {
        let Step::Feed(bytes) = step else { continue };
        lines.type_in(bytes);
        while lines.next_line().is_some() {}
        let held = MEMORY.current_usage() - before;
        assert!(held <= 2 * (CHUNK_LINE + 64) + 2 * bytes.len(), "{held} bytes are held");
        assert!(!lines.is_empty() || held == 0, "{held} bytes are held for nothing");
    }
    lines.end();
    while lines.next_line().is_some() {}
    assert_eq!(MEMORY.current_usage(), before, "bytes are held after the end");
}
