//! What a file's content must hash to, in the two ways in which a hub says it.

use std::fmt;
use std::io::Read;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum that the hub publishes, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Of the content: what Git LFS names large files by.
    Sha256(String),
    /// Git's name of a small file: SHA-1 of `blob LENGTH\0` and the content.
    GitBlob(String),
}

impl Checksum {
    /// An `ETag` or `X-Linked-Etag` of the hub, quotes and weakness mark included; `None` for any other.
    pub fn from_etag(etag: &str) -> Option<Self> {
        Self::from_hex(etag.trim().trim_start_matches("W/").trim_matches('"'))
    }

    pub fn from_hex(hex: &str) -> Option<Self> {
        let hex = hex.to_ascii_lowercase();
        let well_formed = hex.bytes().all(|c| c.is_ascii_hexdigit());
        match (well_formed, hex.len()) {
            (true, 64) => Some(Self::Sha256(hex)),
            (true, 40) => Some(Self::GitBlob(hex)),
            _ => None,
        }
    }

    pub fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::GitBlob(hex) => hex,
        }
    }

    /// Starts to hash a file of `size` bytes.
    pub fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::GitBlob(_) => Hasher::GitBlob(Sha1::new_with_prefix(format!("blob {size}\0"))),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hex) => write!(f, "SHA-256 {hex}"),
            Self::GitBlob(hex) => write!(f, "git blob {hex}"),
        }
    }
}

/// A checksum in the making.
pub enum Hasher {
    Sha256(Sha256),
    GitBlob(Sha1),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::GitBlob(hash) => hash.update(bytes),
        }
    }

    /// Takes in what `reader` has left and returns its length.
    pub fn read(&mut self, reader: &mut impl Read) -> std::io::Result<u64> {
        let (mut buffer, mut length) = (vec![0; 1 << 20], 0);
        loop {
            let n = reader.read(&mut buffer)?;
            if n == 0 {
                return Ok(length);
            }
            self.update(&buffer[..n]);
            length += n as u64;
        }
    }

    pub fn finish(self) -> Checksum {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
        match self {
            Self::Sha256(hash) => Checksum::Sha256(hex(&hash.finalize())),
            Self::GitBlob(hash) => Checksum::GitBlob(hex(&hash.finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_of_the_hub() {
        let blob = "9daeafb9864cf43055a93c7afa14c1a24c1a9ce8";
        assert_eq!(Checksum::from_etag(&format!("\"{blob}\"")), Some(Checksum::GitBlob(blob.into())));
        assert_eq!(Checksum::from_etag(&format!("W/\"{blob}\"")), Some(Checksum::GitBlob(blob.into())));
        let sha256 = "A".repeat(64);
        assert_eq!(Checksum::from_etag(&sha256), Some(Checksum::Sha256("a".repeat(64))));
        for other in ["", "\"\"", "\"5f3e-1\"", &"g".repeat(40), "W/"] {
            assert_eq!(Checksum::from_etag(other), None, "{other}");
        }
    }

    #[test]
    fn known_hashes() {
        // printf 'hello\n' | git hash-object --stdin; ... | sha256sum
        let hash = |expected: &str| {
            let expected = Checksum::from_hex(expected).unwrap();
            let mut hasher = expected.hasher(6);
            hasher.read(&mut &b"hello\n"[..]).unwrap();
            assert_eq!(hasher.finish(), expected);
        };
        hash("ce013625030ba8dba906f756967f9e9ca394464a");
        hash("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }
}
