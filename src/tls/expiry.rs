//! From when to when a certificate is good, as its DER has it, and whether it is of a version that TLS does not take.

use std::time::SystemTime;

/// The tags of what is looked at.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the time of a certificate in DER is over; `None` if that cannot be found, or is before 1970.
pub(super) fn expires(certificate: &[u8]) -> Option<SystemTime> {
    let (_, (tag, Der(until))) = validity(certificate)?;
    time(tag, until)
}

/// When that time begins; `None` if that cannot be found, or is before 1970.
pub(super) fn begins(certificate: &[u8]) -> Option<SystemTime> {
    let ((tag, Der(since)), _) = validity(certificate)?;
    time(tag, since)
}

/// Whether a certificate is one of version 1, which says of no version, and so cannot say for what it is.
pub(super) fn is_of_version_1(certificate: &[u8]) -> bool {
    validity(certificate).is_some() && signed(certificate).is_some_and(|signed| signed.0.first() != Some(&VERSION))
}

/// What whoever vouches for a certificate has signed.
fn signed(certificate: &[u8]) -> Option<Der<'_>> {
    Der(certificate).sequence()?.sequence()
}

/// The two times of a certificate, each with its tag.
fn validity(certificate: &[u8]) -> Option<((u8, Der<'_>), (u8, Der<'_>))> {
    let mut signed = signed(certificate)?;
    // Old ones have none.
    if signed.0.first() == Some(&VERSION) {
        signed.part()?;
    }
    let [_serial, _algorithm, _issuer] = [signed.part()?, signed.part()?, signed.part()?];
    let mut validity = signed.sequence()?;
    Some((validity.part()?, validity.part()?))
}

/// Parts of DER that follow one another.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next part: its tag, and what is in it.
    fn part(&mut self) -> Option<(u8, Self)> {
        let (&[tag, len], rest) = self.0.split_first_chunk()?;
        let (len, rest) = match len {
            0..=0x7f => (usize::from(len), rest),
            // So many bytes with the length follow.
            0x81..=0x83 => {
                let (len, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
                (len.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (within, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, Self(within)))
    }

    /// Takes the next part, which must be a sequence: what is in it.
    fn sequence(&mut self) -> Option<Self> {
        self.part().filter(|&(tag, _)| tag == SEQUENCE).map(|(_, within)| within)
    }
}

/// A time, of which one kind has no century: its years are 1950 to 2049.
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let digits = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) if digits < "5" => (format!("20{}", digits.get(..2)?), digits.get(2..)?),
        (UTC_TIME, 12) => (format!("19{}", digits.get(..2)?), digits.get(2..)?),
        (GENERALIZED_TIME, 14) => (digits.get(..4)?.to_owned(), digits.get(4..)?),
        _ => return None,
    };
    let [month, day, hour, minute, second] =
        [rest.get(..2)?, rest.get(2..4)?, rest.get(4..6)?, rest.get(6..8)?, rest.get(8..)?];
    humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::time::in_seconds;

    fn until(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1970, 1, 2);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn shown(certificate: &[u8]) -> Option<String> {
        expires(certificate).map(|at| in_seconds(at).to_string())
    }

    #[test]
    fn certificates_of_every_age_expire_when_they_say() {
        for (year, month, day) in
            [(1970, 1, 1), (1999, 12, 31), (2000, 2, 29), (2049, 12, 31), (2050, 1, 1), (9999, 12, 31)]
        {
            let want = format!("{year}-{month:02}-{day:02}T00:00:00Z");
            let certificate = until(year, month, day);
            assert_eq!(shown(&certificate), Some(want));
            assert_eq!(begins(&certificate), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)));
        }
        assert_eq!(expires(&until(1969, 12, 31)), None);
    }

    #[test]
    fn a_time_that_is_none_is_no_time() {
        let shown = |tag, text: &str| time(tag, text.as_bytes()).map(|at| in_seconds(at).to_string());
        assert_eq!(shown(UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(shown(GENERALIZED_TIME, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        for text in [
            "",
            "Z",
            "491231235959",
            "490230000000Z",
            "4912312359Z",
            "491231235959+0100",
            "äöü123456Z",
            "49123123595äZ",
        ] {
            assert_eq!(shown(UTC_TIME, text), None, "{text}");
        }
        assert_eq!((shown(GENERALIZED_TIME, "491231235959Z"), shown(SEQUENCE, "491231235959Z")), (None, None));
    }

    #[test]
    fn half_a_certificate_is_none() {
        let whole = until(2049, 12, 31);
        assert!((0..whole.len()).all(|len| expires(&whole[..len]).is_none()));
    }

    proptest! {
        #[test]
        fn whatever_it_is_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(expires(&bytes), None);
        }

        #[test]
        fn a_certificate_that_is_changed_panics_nowhere(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut certificate = until(2049, 12, 31);
            let at = at.index(certificate.len());
            certificate[at] = byte;
            expires(&certificate);
        }

        #[test]
        fn no_time_panics(tag in UTC_TIME..=GENERALIZED_TIME, text in "[0-9ä:+. ]{0,14}Z?") {
            time(tag, text.as_bytes());
        }
    }
}
