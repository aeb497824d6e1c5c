//! What the first bytes of a picture tell of it, before anything is decoded: its format, its size, and which way is up.

/// Width and height in pixels.
pub type Size = (u32, u32);

/// What a picture is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG, as of a camera.
    Jpeg,
    /// WebP, as of web pages and messengers.
    Webp,
}

impl Format {
    /// What a file of this name ought to be, by its extension in any case; `None` if that is of no format that is shown.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }

    /// What a file that starts with these bytes is, by its signature; `None` if it is none of them, or too short to tell.
    pub fn of_bytes(start: &[u8]) -> Option<Self> {
        match start {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }
}

/// How a picture is to be turned and mirrored, as cameras note it: they write down what the sensor saw, and how it was held.
/// It is the tag `Orientation` of Exif (CIPA DC-008, 4.6.4), of which 1 is upright.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Orientation(u8);

impl Orientation {
    /// It is as it is written.
    pub const UPRIGHT: Self = Self(1);

    /// Where the pixel at (`x`, `y`) of an upright picture of this size stands in what is written.
    pub fn written(self, (x, y): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
        let (right, bottom) = (width - 1 - x, height - 1 - y);
        match self.0 {
            2 => (right, y),
            3 => (right, bottom),
            4 => (x, bottom),
            5 => (y, x),
            6 => (y, right),
            7 => (bottom, right),
            8 => (bottom, x),
            _ => (x, y),
        }
    }

    /// This size with its sides as they are when the picture is upright, or the other way round.
    pub fn turn<T>(self, (width, height): (T, T)) -> (T, T) {
        if self.0 >= 5 { (height, width) } else { (width, height) }
    }

    /// The tag in the first directory of these Exif data, which are a TIFF file (TIFF 6.0, section 2).
    fn of_exif(exif: &[u8]) -> Option<Self> {
        const TAG: u64 = 0x0112;
        let is_big = exif.starts_with(b"MM\0*");
        if !is_big && !exif.starts_with(b"II*\0") {
            return None;
        }
        let number = |at: usize, len: usize| {
            let bytes = exif.get(at..at.checked_add(len)?)?;
            let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Some(if is_big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
        };
        let directory = usize::try_from(number(4, 4)?).ok()?;
        let entries = usize::try_from(number(directory, 2)?).ok()?;
        let start = directory.checked_add(2)?;
        let entry = (0..entries).map(|entry| start + entry * 12).find(|&at| number(at, 2) == Some(TAG))?;
        u8::try_from(number(entry + 8, 2)?).ok().filter(|tag| (1..=8).contains(tag)).map(Self)
    }
}

/// What is known of a picture before it is decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What it is written in.
    pub format: Format,
    /// Width and height in pixels, as they are written; neither is 0.
    pub size: Size,
    /// How it is to be turned.
    pub orientation: Orientation,
}

impl Header {
    /// Reads it; `None` if these bytes are no picture, or tell no size.
    ///
    /// The size is in the IHDR chunk of a PNG, which comes first, in the frame header of a JPEG (ITU-T T.81, B.2.2), which comes
    /// after segments of any length, and in the first chunk of a WebP (RFC 9649, 2.5 to 2.7).
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let format = Format::of_bytes(bytes)?;
        let (size, exif) = match format {
            Format::Png => (png_size(bytes)?, png_exif(bytes)),
            Format::Jpeg => jpeg(&bytes[2..])?,
            Format::Webp => (webp_size(&bytes[12..])?, webp_exif(bytes)),
        };
        let orientation = exif.and_then(Orientation::of_exif).unwrap_or(Orientation::UPRIGHT);
        (size.0 > 0 && size.1 > 0).then_some(Self { format, size, orientation })
    }

    /// Width and height in pixels when it is upright.
    pub fn upright(&self) -> Size {
        self.orientation.turn(self.size)
    }

    /// How many pixels it has.
    pub fn pixels(&self) -> u64 {
        u64::from(self.size.0) * u64::from(self.size.1)
    }
}

fn png_size(bytes: &[u8]) -> Option<Size> {
    match bytes[8..] {
        [_, _, _, _, b'I', b'H', b'D', b'R', a, b, c, d, e, f, g, h, ..] => {
            Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
        }
        _ => None,
    }
}

fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = &bytes[8..];
    while let [a, b, c, d, kind @ ..] = chunks {
        let len = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
        let (kind, data) = kind.split_at_checked(4)?;
        if kind == b"eXIf" {
            return data.get(..len);
        }
        // Behind the data stands a checksum.
        chunks = data.get(len.checked_add(4)?..)?;
    }
    None
}

/// The size in the first frame header of these segments, and the Exif data that came before it.
fn jpeg(mut segments: &[u8]) -> Option<(Size, Option<&[u8]>)> {
    let mut exif = None;
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
                return Some(((u16::from_be_bytes([c, d]).into(), u16::from_be_bytes([a, b]).into()), exif));
            }
            [0xff, marker, a, b, ..] => {
                let (segment, rest) = segments[2..].split_at_checked(u16::from_be_bytes([a, b]).into())?;
                if marker == 0xe1 {
                    exif = exif.or_else(|| segment.get(2..)?.strip_prefix(b"Exif\0\0"));
                }
                rest
            }
            _ => return None,
        };
    }
}

fn webp_size(chunk: &[u8]) -> Option<Size> {
    let (kind, rest) = chunk.split_at_checked(8)?;
    match (&kind[..4], rest) {
        (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, a, b, c, d, ..]) => {
            // Above the 14 bits of each stands how it might be scaled.
            let side = |low: &u8, high: &u8| u32::from(u16::from_le_bytes([*low, *high]) & 0x3fff);
            Some((side(a, b), side(c, d)))
        }
        (b"VP8L", [0x2f, a, b, c, d, ..]) => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        (b"VP8X", [_, _, _, _, a, b, c, d, e, f, ..]) => {
            Some((u32::from_le_bytes([*a, *b, *c, 0]) + 1, u32::from_le_bytes([*d, *e, *f, 0]) + 1))
        }
        _ => None,
    }
}

fn webp_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = &bytes[12..];
    loop {
        let (head, data) = chunks.split_at_checked(8)?;
        let len = usize::try_from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])).ok()?;
        if head.starts_with(b"EXIF") {
            // Some write what stands before it in a JPEG.
            return data.get(..len).map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
        }
        // Chunks have an even length.
        chunks = data.get(len.checked_add(len % 2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture that the tests share.
    macro_rules! picture {
        ($name:literal) => {
            include_bytes!(concat!("../../../../tests/pictures/", $name)).as_slice()
        };
    }

    const ALL: [&[u8]; 6] = [
        picture!("turned6.jpg"),
        picture!("progressive.jpg"),
        picture!("turned.png"),
        picture!("clear.webp"),
        picture!("lossy.webp"),
        picture!("lossless.webp"),
    ];

    fn png(width: u32, height: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", &width.to_be_bytes()[..], &height.to_be_bytes()].concat()
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

    fn size(bytes: &[u8]) -> Option<(u32, u32)> {
        Header::of(bytes).map(|header| header.size)
    }

    #[test]
    fn formats_and_sizes() {
        for (name, format) in [
            ("a.png", Some(Format::Png)),
            ("a.b.PNG", Some(Format::Png)),
            ("a.JPG", Some(Format::Jpeg)),
            ("a.jpeg", Some(Format::Jpeg)),
            ("a.WebP", Some(Format::Webp)),
            ("png", None),
            ("a.png.gz", None),
            ("", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
        assert_eq!(size(&png(640, 480)), Some((640, 480)));
        assert_eq!(size(&png(0x0102_0304, 1)), Some((0x0102_0304, 1)));
        assert_eq!(size(&png(0, 480)), None);
        for start_of_frame in [0xc0, 0xc1, 0xc2, 0xcf] {
            assert_eq!(size(&jpeg(640, 480, start_of_frame)), Some((640, 480)));
        }
        for other in [0xc4, 0xc8, 0xcc] {
            assert_eq!(size(&jpeg(640, 480, other)), None);
        }
        assert_eq!(size(&jpeg(640, 0, 0xc0)), None);
        for whole in [png(640, 480), jpeg(640, 480, 0xc2)[..65_558].to_vec()] {
            assert_eq!(size(&whole), Some((640, 480)));
            for len in 0..whole.len() {
                assert_eq!(size(&whole[..len]), None, "{len}");
            }
        }
        assert_eq!(size(b"\xff\xd8\xff\xe0\0\0"), None);
        assert_eq!(size(b"GIF89a\x01\0\x01\0"), None);
        for (bytes, want) in ALL.iter().zip([(32, 64), (64, 32), (32, 64), (32, 64), (64, 32), (64, 32)]) {
            assert_eq!(size(bytes), Some(want));
            assert_eq!(Header::of(bytes).unwrap().upright(), (64, 32));
        }
    }

    #[test]
    fn which_way_is_up() {
        let exif = |orientation: u16, is_big: bool| {
            let two = |value: u16| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
            let four = |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
            let entry = |tag, value| [&two(tag)[..], &two(3), &four(1), &two(value), &[0, 0]].concat();
            let head = if is_big { b"MM\0*" } else { b"II*\0" };
            [&head[..], &four(10), &[0, 0], &two(2), &entry(0x0100, 5), &entry(0x0112, orientation)].concat()
        };
        for is_big in [true, false] {
            for tag in 0..=9u8 {
                let want = (1..=8).contains(&tag).then_some(Orientation(tag));
                assert_eq!(Orientation::of_exif(&exif(tag.into(), is_big)), want);
            }
            let whole = exif(6, is_big);
            for len in 0..whole.len() - 2 {
                assert_eq!(Orientation::of_exif(&whole[..len]), None);
            }
        }
        // Each pixel is somewhere, and all of them are somewhere else.
        for tag in 1..=8 {
            let (orientation, size) = (Orientation(tag), (3, 2));
            let (width, height) = orientation.turn(size);
            let mut all: Vec<_> =
                (0..size.1).flat_map(|y| (0..size.0).map(move |x| orientation.written((x, y), size))).collect();
            all.sort_unstable();
            let wants: Vec<_> = (0..width).flat_map(|x| (0..height).map(move |y| (x, y))).collect();
            assert_eq!(all, wants, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fail(which in 0..ALL.len(), cut in any::<prop::sample::Index>(), bytes: Vec<u8>, noise: Vec<(u16, u8)>) {
            Header::of(&bytes);
            Orientation::of_exif(&[b"MM\0*", &bytes[..]].concat());
            let mut spoilt = [&ALL[which][..cut.index(ALL[which].len())], &bytes].concat();
            let len = spoilt.len();
            for (at, byte) in noise.into_iter().filter(|_| len > 0) {
                spoilt[usize::from(at) % len] = byte;
            }
            Header::of(&spoilt);
        }
    }
}
