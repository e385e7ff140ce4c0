//! PostgreSQL's binary COPY format. PostgreSQL's documentation, COPY, "Binary Format".

use half::f16;

pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// The bytes of rows.
#[derive(Default)]
pub struct Rows(pub Vec<u8>);

impl Rows {
    pub fn row(&mut self, fields: i16) {
        self.0.extend(fields.to_be_bytes());
    }

    /// Of any type whose binary form are these bytes: `text`, `bytea`, an enum's label.
    ///
    /// Panics above 2 GiB, which no row holds: the caller has limits.
    pub fn field(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.0.extend((-1i32).to_be_bytes()),
            Some(bytes) => {
                let length = i32::try_from(bytes.len()).expect("a field of less than 2 GiB");
                self.0.extend(length.to_be_bytes());
                self.0.extend(bytes);
            }
        }
    }

    /// `jsonb`: its version, and the text.
    pub fn json(&mut self, text: &str) {
        let mut bytes = vec![1];
        bytes.extend(text.as_bytes());
        self.field(Some(&bytes));
    }

    /// pgvector's `vector`, or `halfvec` with numbers of 16 bits: the number of dimensions, two bytes of 0, the numbers.
    pub fn vector(&mut self, vector: Option<&[f32]>, is_half: bool) {
        let Some(vector) = vector else { return self.field(None) };
        let mut bytes = Vec::with_capacity(4 + 4 * vector.len());
        bytes.extend((vector.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
        for number in vector {
            if is_half {
                bytes.extend(f16::from_f32(*number).to_be_bytes());
            } else {
                bytes.extend(number.to_be_bytes());
            }
        }
        self.field(Some(&bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn fields() {
        let mut rows = Rows::default();
        rows.row(4);
        rows.field(Some(b"ab"));
        rows.field(None);
        rows.json("{}");
        rows.vector(Some(&[1.0, -0.5]), true);
        let expected: &[u8] = b"\0\x04\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\x03\x01{}\0\0\0\x08\0\x02\0\0\x3c\0\xb8\0";
        assert_eq!(rows.0, expected);
    }
}
