//! Are there rows in a table's file? Read without PostgreSQL, whose processes can read the tables of one database alone: so
//! that, after a start, no process has to connect to each database to find its queue empty.
//!
//! A hint, right for what is on the disk: a row counts unless its deletion is known to be committed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a page, as PostgreSQL is built nearly everywhere. With others nothing looks right, which counts as rows.
const PAGE: usize = 8192;
/// Pages that are read; a file with more is taken for one with rows.
const PAGES: usize = 1024;

/// `None` where the file cannot be read. `committed`: is a transaction known to be?
pub fn has_rows(file: &Path, committed: &dyn Fn(u32) -> bool) -> Option<bool> {
    let mut file = File::open(file).ok()?;
    let mut page = [0; PAGE];
    for _ in 0..PAGES {
        match read_page(&mut file, &mut page)? {
            0 => return Some(false),
            PAGE if !page_has_rows(&page, committed) => {}
            _ => return Some(true),
        }
    }
    Some(true)
}

fn read_page(file: &mut File, page: &mut [u8; PAGE]) -> Option<usize> {
    let mut length = 0;
    while length < PAGE {
        match file.read(&mut page[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(length)
}

fn page_has_rows(page: &[u8; PAGE], committed: &dyn Fn(u32) -> bool) -> bool {
    const HEADER: usize = 24;
    const POINTER: usize = 4;
    const NORMAL: u32 = 1;
    const XMIN_INVALID: u16 = 0x0200;
    const XMIN_COMMITTED: u16 = 0x0100;
    const XMAX_INVALID: u16 = 0x0800;
    const XMAX_LOCK_ONLY: u16 = 0x0080;
    const XMAX_COMMITTED: u16 = 0x0400;
    const XMAX_IS_MULTI: u16 = 0x1000;
    let u16_at = |at: usize| page.get(at..at + 2).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    let u32_at = |at: usize| page.get(at..at + 4).map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    if page.iter().all(|byte| *byte == 0) {
        return false; // added to the file, and not used yet
    }
    let (Some(lower), Some(size)) = (u16_at(12), u16_at(18)) else { return true };
    if usize::from(size & 0xff00) != PAGE || usize::from(lower) < HEADER || usize::from(lower) > PAGE {
        return true;
    }
    (HEADER..usize::from(lower)).step_by(POINTER).any(|at| {
        let Some(pointer) = u32_at(at) else { return true };
        if (pointer >> 15) & 3 != NORMAL {
            return false;
        }
        let tuple = (pointer & 0x7fff) as usize;
        let (Some(xmax), Some(mask)) = (u32_at(tuple + 4), u16_at(tuple + 20)) else { return true };
        let never_was = mask & XMIN_INVALID != 0 && mask & XMIN_COMMITTED == 0;
        let may_be_deleted = xmax != 0 && mask & (XMAX_INVALID | XMAX_LOCK_ONLY | XMAX_IS_MULTI) == 0;
        !never_was && !(may_be_deleted && (mask & XMAX_COMMITTED != 0 || committed(xmax)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with one tuple of these fields.
    fn page(flags: u32, xmax: u32, mask: u16) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        page[12..14].copy_from_slice(&28u16.to_ne_bytes());
        page[18..20].copy_from_slice(&(PAGE as u16 | 4).to_ne_bytes());
        page[24..28].copy_from_slice(&(8000 | flags << 15 | 100 << 17).to_ne_bytes());
        page[8004..8008].copy_from_slice(&xmax.to_ne_bytes());
        page[8020..8022].copy_from_slice(&mask.to_ne_bytes());
        page
    }

    fn look(page: &[u8; PAGE]) -> bool {
        page_has_rows(page, &|xmax| xmax == 800)
    }

    #[test]
    fn tells_rows_from_what_is_left_of_them() {
        assert!(look(&page(1, 0, 0x0900)), "inserted");
        assert!(look(&page(1, 700, 0x0900)), "a deletion that was rolled back");
        assert!(look(&page(1, 700, 0x0100)), "a deletion of which nothing is known");
        assert!(look(&page(1, 800, 0x0180)), "locked by somebody");
        assert!(look(&page(1, 800, 0x1100)), "locked or deleted by several");
        assert!(!look(&page(1, 700, 0x0500)), "deleted, as the row says");
        assert!(!look(&page(1, 800, 0x0100)), "deleted, as the log of transactions says");
        assert!(!look(&page(1, 0, 0x0a00)), "an insertion that was rolled back");
        assert!(!look(&page(3, 0, 0x0900)), "a pointer without a tuple");
        assert!(!look(&[0; PAGE]), "a new page");
    }

    #[test]
    fn what_it_does_not_know_counts_as_rows() {
        assert!(look(&[1; PAGE]));
        let mut cut = page(1, 0, 0);
        cut[24..28].copy_from_slice(&(0x7fffu32 | 1 << 15).to_ne_bytes());
        assert!(look(&cut));
    }

    #[test]
    fn reads_files() {
        let file = std::env::temp_dir().join(format!("pg_clip_heap_look_{}", std::process::id()));
        for (content, expected) in [
            (vec![], Some(false)),
            (page(1, 700, 0x0500).to_vec(), Some(false)),
            ([page(1, 700, 0x0500), page(1, 0, 0x0900)].concat(), Some(true)),
            (vec![0; 100], Some(true)),
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(has_rows(&file, &|_| false), expected);
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(has_rows(&file, &|_| false), None);
    }
}
