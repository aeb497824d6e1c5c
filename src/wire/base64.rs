//! Base64 as it stands in chunks, with vector instructions where the processor has them: it is found out when first used.

use std::sync::LazyLock;

use base64::engine::general_purpose::PAD;

/// The standard alphabet, padded.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub static BASE64: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::standard(PAD));

/// The standard alphabet, padded. For other processors the crate knows no vector instructions.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, PAD));
