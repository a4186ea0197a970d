//! How a file of the journal is cut into frames, and how a frame that was torn is told from one that was damaged.
//!
//! A frame is what one save wrote: a mark, the length of its body, the body's check sum, and a check sum of these two with the
//! file's number and the frame's place, so that an old block of another file is not taken for one; then the body and another
//! mark. The marks are not zero, so a part of a frame at the edge of a sector is never zero throughout if it was written. A save is synced before the next
//! begins. So a frame that is not whole was never acknowledged **only if** it is the last; and if it is the last, it was torn
//! only if there is a trace of that: the file ends inside of it, or a sector of it was never written and so reads as zeros.
//! (File systems show zeros, not old bytes, where a file grew before its data came. A process that dies leaves a file
//! that ends early.) A frame that is whole in length, of which no sector is zero, and whose sum is wrong was written, maybe
//! acknowledged, and then changed: that is damage, and cutting it off could take back a vote. What is left is a flipped bit in
//! the very last frame if its entries hold a whole sector of zeros; it is taken for a torn one.

use crate::base::crc32c::crc32c;

/// A mark, length, sum of the body, sum of both.
pub(super) const HEAD_BYTES: usize = 13;
const HEAD_MARK: u8 = 0xf5;
const END_MARK: u8 = 0x5f;

/// What disks write at once, or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

/// Appends a frame that will stand at this offset of the file of this number. `None` if the body is too long.
pub(super) fn write(out: &mut Vec<u8>, number: u64, offset: u64, body: &[u8]) -> Option<()> {
    let len = u32::try_from(body.len()).ok()?;
    let sum = crc32c(0, body);
    out.push(HEAD_MARK);
    out.extend(len.to_le_bytes());
    out.extend(sum.to_le_bytes());
    out.extend(head_sum(number, offset, len, sum).to_le_bytes());
    out.extend(body);
    out.push(END_MARK);
    Some(())
}

fn head_sum(number: u64, offset: u64, len: u32, sum: u32) -> u32 {
    let head = crc32c(0, &number.to_le_bytes());
    let head = crc32c(head, &offset.to_le_bytes());
    crc32c(crc32c(head, &len.to_le_bytes()), &sum.to_le_bytes())
}

/// What stands at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    End,
    Frame {
        body: &'a [u8],
        next: usize,
    },
    /// The last frame, which was never wholly written.
    Torn,
    Damaged(&'static str),
}

/// Looks at a file of that number from an offset on.
pub(super) fn at(file: &[u8], number: u64, offset: usize) -> Found<'_> {
    if offset == file.len() {
        return Found::End;
    }
    let whole = whole(file, number, offset);
    if let Ok((body, next)) = whole {
        return Found::Frame { body, next };
    }
    // Scanned byte by byte; it happens once in a crash, and takes some ten milliseconds for a file of the usual size.
    let is_last = !(offset + 1..file.len()).any(|later| self::whole(file, number, later).is_ok());
    let (reach, why) = match whole {
        Ok(_) | Err(Broken::Head) => (file.len(), "a frame whose head has a wrong check sum"),
        Err(Broken::Short) => return if is_last { Found::Torn } else { Found::Damaged("a frame inside of another") },
        Err(Broken::Body(next)) => (next, "a frame whose body has a wrong check sum"),
    };
    if !is_last {
        return Found::Damaged(why);
    }
    if has_zero_sector(file, offset, reach) { Found::Torn } else { Found::Damaged(why) }
}

enum Broken {
    /// The file ends before the frame does.
    Short,
    Head,
    /// The head is right; the next frame would begin there.
    Body(usize),
}

fn whole(file: &[u8], number: u64, offset: usize) -> Result<(&[u8], usize), Broken> {
    let rest = file.get(offset..).unwrap_or_default();
    let (head, rest) = rest.split_first_chunk::<HEAD_BYTES>().ok_or(Broken::Short)?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (len, sum) = (word(1), word(5));
    if head[0] != HEAD_MARK || head_sum(number, offset as u64, len, sum) != word(9) {
        return Err(Broken::Head);
    }
    let (body, rest) = rest.split_at_checked(len as usize).ok_or(Broken::Short)?;
    let end = rest.first().ok_or(Broken::Short)?;
    let next = offset + HEAD_BYTES + body.len() + 1;
    if *end == END_MARK && crc32c(0, body) == sum { Ok((body, next)) } else { Err(Broken::Body(next)) }
}

/// Whether what lies in one sector, of the bytes between two places, is nothing but zeros.
fn has_zero_sector(file: &[u8], from: usize, to: usize) -> bool {
    let mut start = from;
    while start < to {
        let end = to.min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
        if file[start..end].iter().all(|byte| *byte == 0) {
            return true;
        }
        start = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bodies: &[&[u8]]) -> Vec<u8> {
        let mut file = Vec::new();
        for body in bodies {
            let offset = file.len() as u64;
            write(&mut file, 7, offset, body).unwrap();
        }
        file
    }

    #[test]
    fn frames_follow_each_other() {
        let file = file(&[b"one", b"", b"three"]);
        assert_eq!(at(&file, 7, 0), Found::Frame { body: b"one", next: 17 });
        assert_eq!(at(&file, 7, 17), Found::Frame { body: b"", next: 31 });
        assert_eq!(at(&file, 7, 31), Found::Frame { body: b"three", next: 50 });
        assert_eq!(at(&file, 7, 50), Found::End);
        assert!(matches!(at(&file, 8, 0), Found::Damaged(_)), "of another file");
    }

    #[test]
    fn a_last_frame_that_ends_early_was_torn() {
        let file = file(&[b"one", b"two"]);
        for end in 18..file.len() {
            assert_eq!(at(&file[..end], 7, 17), Found::Torn, "{end}");
        }
    }

    #[test]
    fn a_flipped_bit_is_damage_wherever_it_is() {
        let file = file(&[&[1; 700], &[2; 700], &[3; 700]]);
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            let frame = bit / 8 / 714 * 714;
            assert!(matches!(at(&file, 7, frame), Found::Damaged(_)), "bit {bit}");
        }
    }

    #[test]
    fn a_last_frame_with_a_sector_of_zeros_was_torn() {
        let mut file = file(&[&[1; 700], &[2; 2000]]);
        file[1024..1536].fill(0);
        assert_eq!(at(&file, 7, 714), Found::Torn);
        file[714..1024].fill(0);
        assert_eq!(at(&file, 7, 714), Found::Torn, "with its head");
    }
}
