//! Pictures decoded, and scaled down to what is shown of them.
//!
//! What is decoded here came from strangers. So it is done in a process of its own, which may take only so much memory and
//! time (`client/helper.rs`), and what it will take is looked at before.

use std::io::Cursor;

use image_webp::WebPDecoder;
use png::{Limits, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::header::{Format, Header, Orientation};

/// The most pixels that are decoded, as a photo of most phones has them.
const PIXELS: u64 = 50_000_000;
/// The most bytes of memory that a process that decodes may have.
pub const MEMORY: u64 = 640 * 1024 * 1024;

/// A picture of pixels with red, green, blue and alpha, row by row from the top.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pixels {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    rgba: Vec<u8>,
}

impl Pixels {
    /// A picture of this size with these bytes, of which four are a pixel; `None` if there are more or fewer.
    pub fn new((width, height): (usize, usize), rgba: Vec<u8>) -> Option<Self> {
        let bytes = width.checked_mul(height)?.checked_mul(4)?;
        (bytes == rgba.len() && bytes > 0).then_some(Self { width, height, rgba })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.rgba
    }

    /// Red, green and blue of a pixel; `None` if one sees through it, or it is not in the picture.
    pub fn colour(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        let at = (y * self.width + x) * 4;
        match self.rgba.get(at..at + 4)? {
            &[red, green, blue, alpha] if x < self.width && alpha >= 128 => Some([red, green, blue]),
            _ => None,
        }
    }

    /// Whether one sees through none of its pixels.
    pub fn is_opaque(&self) -> bool {
        self.rgba.chunks(4).all(|pixel| pixel[3] == 255)
    }
}

/// Says why a picture would not be decoded, if it has too many pixels for that.
pub fn check(header: &Header) -> Result<(), String> {
    let (width, height) = header.upright();
    if header.pixels() > PIXELS {
        return Err(format!(
            "it has {width}×{height} pixels, and no more than {} million are shown",
            PIXELS / 1_000_000
        ));
    }
    Ok(())
}

/// Decodes a picture, turns it upright and scales it down to `size`, neither side of which may be 0. `None` if it cannot be
/// decoded, or has too many pixels.
pub fn decode(bytes: &[u8], size: (usize, usize)) -> Option<Pixels> {
    let header = Header::of(bytes).filter(|header| check(header).is_ok())?;
    let whole = match header.format {
        Format::Png => png(bytes),
        Format::Jpeg => jpeg(bytes),
        Format::Webp => webp(bytes),
    }?;
    let is_said = (u32::try_from(whole.width), u32::try_from(whole.height)) == (Ok(header.size.0), Ok(header.size.1));
    is_said.then(|| turn(&whole.scale(header.orientation.turn(size))?, header.orientation)).flatten()
}

/// A picture as it comes from a decoder: with a grey or three colours, and with or without alpha.
struct Decoded {
    width: usize,
    height: usize,
    channels: usize,
    samples: Vec<u8>,
}

fn png(bytes: &[u8]) -> Option<Decoded> {
    let limits = Limits { bytes: usize::try_from(MEMORY).ok()? };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    let mut samples = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut samples).ok()?;
    let (width, height) = (usize::try_from(frame.width).ok()?, usize::try_from(frame.height).ok()?);
    Some(Decoded { width, height, channels: frame.color_type.samples(), samples })
}

fn jpeg(bytes: &[u8]) -> Option<Decoded> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let options = options.set_max_width(u16::MAX.into()).set_max_height(u16::MAX.into()).set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let samples = decoder.decode().ok()?;
    let info = decoder.info()?;
    let channels = decoder.output_colorspace()?.num_components();
    Some(Decoded { width: info.width.into(), height: info.height.into(), channels, samples })
}

fn webp(bytes: &[u8]) -> Option<Decoded> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).ok()?;
    decoder.set_memory_limit(usize::try_from(MEMORY).ok()?);
    let mut samples = vec![0; decoder.output_buffer_size()?];
    decoder.read_image(&mut samples).ok()?;
    let (width, height) = decoder.dimensions();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    Some(Decoded { width: usize::try_from(width).ok()?, height: usize::try_from(height).ok()?, channels, samples })
}

impl Decoded {
    /// Each pixel of the outcome is the mean of those that it stands for, by how much of each is seen.
    fn scale(&self, (width, height): (usize, usize)) -> Option<Pixels> {
        if self.samples.len() != self.width * self.height * self.channels || !(1..=4).contains(&self.channels) {
            return None;
        }
        let span = |at: usize, of: usize, all: usize| {
            let start = at * all / of;
            start..((at + 1) * all / of).clamp(start + 1, all.max(start + 1))
        };
        let mut rgba = Vec::with_capacity(width * height * 4);
        for y in 0..height {
            for x in 0..width {
                let columns = span(x, width, self.width);
                let (mut sums, mut alphas, mut count) = ([0; 3], 0, 0);
                for row in span(y, height, self.height) {
                    let row = row * self.width;
                    let samples = (row + columns.start) * self.channels..(row + columns.end) * self.channels;
                    for pixel in self.samples[samples].chunks_exact(self.channels) {
                        let (colours, alpha) = match *pixel {
                            [grey] => ([grey; 3], 255),
                            [grey, alpha] => ([grey; 3], alpha),
                            [red, green, blue] => ([red, green, blue], 255),
                            [red, green, blue, alpha] => ([red, green, blue], alpha),
                            _ => return None,
                        };
                        let alpha = u64::from(alpha);
                        for (sum, colour) in sums.iter_mut().zip(colours) {
                            *sum += u64::from(colour) * alpha;
                        }
                        alphas += alpha;
                        count += 1;
                    }
                }
                let mean = |sum: u64, of: u64| u8::try_from((sum + of / 2).checked_div(of).unwrap_or(0)).unwrap_or(255);
                rgba.extend(sums.map(|sum| mean(sum, alphas)));
                rgba.push(mean(alphas, count));
            }
        }
        Pixels::new((width, height), rgba)
    }
}

fn turn(written: &Pixels, orientation: Orientation) -> Option<Pixels> {
    let size = orientation.turn((written.width, written.height));
    let mut rgba = Vec::with_capacity(written.rgba.len());
    for y in 0..size.1 {
        for x in 0..size.0 {
            let (x, y) = orientation.written((x, y), size);
            let at = (y * written.width + x) * 4;
            rgba.extend_from_slice(&written.rgba[at..at + 4]);
        }
    }
    Pixels::new(size, rgba)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture that the tests share: red, green, blue and white quarters, of 64 by 32 pixels in all when it is upright.
    macro_rules! picture {
        ($name:literal) => {
            (concat!($name), include_bytes!(concat!("../../../../tests/pictures/", $name)).as_slice())
        };
    }

    const COLOURED: [(&str, &[u8]); 16] = [
        picture!("turned1.jpg"),
        picture!("turned2.jpg"),
        picture!("turned3.jpg"),
        picture!("turned4.jpg"),
        picture!("turned5.jpg"),
        picture!("turned6.jpg"),
        picture!("turned7.jpg"),
        picture!("turned8.jpg"),
        picture!("progressive.jpg"),
        picture!("cmyk.jpg"),
        picture!("lossy.webp"),
        picture!("lossless.webp"),
        picture!("moving.webp"),
        picture!("turned.png"),
        picture!("palette.png"),
        picture!("clear.png"),
    ];
    const QUARTERS: [[u8; 3]; 4] = [[255, 0, 0], [0, 200, 0], [0, 0, 255], [255; 3]];

    /// The colours in the midst of the quarters.
    fn quarters(pixels: &Pixels) -> [Option<[u8; 3]>; 4] {
        let (width, height) = (pixels.width, pixels.height);
        [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| pixels.colour(width * x / 4, height * y / 4))
    }

    fn is_like(have: Option<[u8; 3]>, want: [u8; 3]) -> bool {
        have.is_some_and(|have| have.iter().zip(want).all(|(have, want)| have.abs_diff(want) < 16))
    }

    #[test]
    fn every_kind_is_decoded_and_turned_upright() {
        for (name, bytes) in COLOURED {
            for size in [(64, 32), (20, 10), (4, 4)] {
                let pixels = decode(bytes, size).unwrap_or_else(|| panic!("{name}"));
                assert_eq!((pixels.width, pixels.height), size);
                let have = quarters(&pixels);
                let has = |at: usize| is_like(have[at], QUARTERS[at]) || name.starts_with("clear") && at == 3;
                assert!((0..4).all(has), "{name} {size:?}: {have:?}");
            }
        }
        for (name, bytes) in [picture!("grey.jpg"), picture!("deep.png")] {
            let have = quarters(&decode(bytes, (64, 32)).unwrap_or_else(|| panic!("{name}")));
            assert!(is_like(have[0], [76; 3]) && is_like(have[3], [255; 3]), "{name}: {have:?}");
        }
    }

    #[test]
    fn one_sees_through_what_is_clear() {
        for (name, bytes) in [picture!("clear.png"), picture!("clear.webp")] {
            let pixels = decode(bytes, (8, 4)).unwrap();
            let have = quarters(&pixels);
            assert!((0..3).all(|at| is_like(have[at], QUARTERS[at])), "{name}: {have:?}");
            assert_eq!(have[3], None, "{name}");
            assert!(!pixels.is_opaque());
            // Where half of it is clear, the rest has its own colour and none of what is not seen.
            let edge = decode(bytes, (1, 1)).unwrap();
            assert!(edge.bytes()[3] > 180 && edge.bytes()[3] < 200, "{name}: {:?}", edge.bytes());
        }
        assert!(decode(COLOURED[0].1, (8, 4)).unwrap().is_opaque());
    }

    #[test]
    fn scaled_to_any_size() {
        for size in [(1, 1), (1, 32), (64, 1), (63, 31), (7, 3), (100, 50)] {
            let pixels = decode(COLOURED[11].1, size).unwrap();
            assert_eq!((pixels.width, pixels.height), size);
        }
        let one = decode(COLOURED[11].1, (1, 1)).unwrap().colour(0, 0);
        assert_eq!(one, Some([128, 114, 128]));
    }

    #[test]
    fn what_is_not_there_is_no_picture() {
        for (name, bytes) in COLOURED {
            for part in [1, 2, 3] {
                // What there is of it may be shown.
                let pixels = decode(&bytes[..bytes.len() * part / 4], (8, 4));
                assert!(pixels.is_none_or(|pixels| (pixels.width, pixels.height) == (8, 4)), "{name}");
            }
        }
        assert_eq!(decode(&[], (8, 4)), None);
        assert_eq!(decode(b"GIF89a\x01\0\x01\0", (8, 4)), None);
        // Nothing is taken for what a header promises.
        let mut bomb = COLOURED[0].1.to_vec();
        let frame = bomb.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        bomb[frame + 5..frame + 9].fill(0xff);
        assert_eq!(Header::of(&bomb).unwrap().size, (65_535, 65_535));
        assert_eq!(decode(&bomb, (8, 4)), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fail(which in 0..COLOURED.len(), noise: Vec<(u16, u8)>, cut in any::<prop::sample::Index>()) {
            let mut bytes = COLOURED[which].1.to_vec();
            bytes.truncate(cut.index(bytes.len() * 2).max(1));
            let len = bytes.len();
            for (at, byte) in noise {
                // Its size is not spoilt, as that would only take time.
                if usize::from(at) % len > 30 {
                    bytes[usize::from(at) % len] = byte;
                }
            }
            if Header::of(&bytes).is_some_and(|header| header.pixels() < 1_000_000) {
                decode(&bytes, (8, 4));
            }
        }
    }
}
