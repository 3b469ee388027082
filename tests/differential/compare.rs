//! What a function received against what it should have received.
use crate::model::{Place, Received};

/// Compares a log with what should be in it; `base` is where the guest's memory begins.
pub fn compare(
    log: &[u8],
    expected: &[Received],
    base: usize,
    memory: usize,
) -> Result<(), String> {
    let mut rest = log;
    for (position, one) in expected.iter().enumerate() {
        let length = match one {
            Received::Bytes(bytes) => bytes.len(),
            Received::Pointer(_) => 8,
        };
        let Some((found, after)) = rest.split_at_checked(length) else {
            return Err(format!("the log ends before entry {position}, {one:?}"));
        };
        rest = after;
        match one {
            Received::Bytes(bytes) if found == bytes => {}
            Received::Bytes(bytes) => {
                return Err(format!("entry {position}: received {found:?} instead of {bytes:?}"));
            }
            Received::Pointer(place) => {
                let found = u64::from_le_bytes(found.try_into().expect("8 bytes"));
                let offset = usize::try_from(found).expect("64 bits").wrapping_sub(base);
                let right = match place {
                    Place::Null => found == 0,
                    Place::Guest(at) => u64::try_from(offset).ok() == Some(*at),
                    Place::Copy => found != 0 && offset > memory,
                    Place::Call => found != 0 && found % 8 == 0 && offset > memory,
                };
                if !right {
                    return Err(format!(
                        "entry {position}: the pointer {found:#x} (guest memory begins at {base:#x}) should be {place:?}"
                    ));
                }
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes too many were logged", rest.len())) }
}
