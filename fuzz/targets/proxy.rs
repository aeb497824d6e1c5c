//! PROXY headers: whatever bytes come, and however many of them at a time, what is said of them is said once and for ever, and a header
//! is no longer than it may be. What the crate makes of a whole one is the same.
#![no_main]

use chinwag::limits;
use chinwag::proxy::{self, Header, SIGNATURE};
use libfuzzer_sys::fuzz_target;
use proxy_header::{ParseConfig, ProxyHeader};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Few would begin so by chance.
    check(&[SIGNATURE, bytes].concat());
    check(&[b"PROXY ", bytes].concat());
});

fn check(bytes: &[u8]) {
    let whole = proxy::read(bytes);
    for len in 0..bytes.len() {
        let part = proxy::read(&bytes[..len]);
        assert!(part == Ok(None) || part == whole, "{part:?} and then {whole:?}");
    }
    match whole {
        Ok(Some((header, len))) => {
            assert!(len <= bytes.len().min(limits::PROXY_HEADER));
            assert_eq!(proxy::read(&bytes[..len]), whole);
            if let Header::Named { address, .. } = header {
                let (theirs, end) = ProxyHeader::parse(bytes, ParseConfig::default()).expect("we are stricter");
                assert_eq!((theirs.proxied_address().map(|proxied| proxied.source.ip()), end), (Some(address), len));
            }
        }
        Ok(None) => assert!(bytes.len() < limits::PROXY_HEADER),
        Err(_) => {}
    }
}
