//! Values on their way out of the frame: what both ways through the *after* section do.
use super::Failure;
use super::space::Space;
use crate::plan::moves::{misfit, store};
use crate::plan::op::{At, Operand, Width};

/// The integer there is one that the guest can hold.
///
/// # Safety
/// The plan was verified, and the ops before this one have run.
pub unsafe fn fits(space: &Space<'_>, from: Operand, width: Width) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let value = unsafe { space.integer(from) };
    if width.holds(value) { Ok(()) } else { Err(Failure::Check) }
}

/// Every integer of a value is one that the guest can hold.
///
/// # Safety
/// As [`fits`].
pub unsafe fn fits_object(space: &Space<'_>, moves: u16) -> Result<(), Failure> {
    let moves = &space.plan.moves[usize::from(moves)];
    // SAFETY: the caller's promise.
    let misfit = unsafe { misfit(moves, space.frame.cast()) };
    if misfit.is_none() { Ok(()) } else { Err(Failure::Check) }
}

/// Writes what native code left in a cell.
///
/// # Safety
/// As [`fits`].
pub unsafe fn store_cell(
    space: &Space<'_>,
    slot: u16,
    from: At,
    width: Width,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let (address, value) = unsafe { (space.pointer(slot), space.read::<u64>(from)) };
    if address != 0 {
        let bytes = value.to_le_bytes();
        let bytes = &bytes[..width.bytes().min(8)];
        // SAFETY: nothing else uses the guest's memory.
        unsafe { space.write_guest(address, bytes).ok_or(Failure::Check)? };
    }
    Ok(())
}

/// Puts the result together in the guest's memory.
///
/// # Safety
/// As [`fits`].
pub unsafe fn store_object(space: &Space<'_>, slot: u16, moves: u16) -> Result<(), Failure> {
    let moves = &space.plan.moves[usize::from(moves)];
    let end = moves.iter().map(|one| one.memory + one.kind.memory_bytes()).max();
    // SAFETY: the caller's promise; the moves stay inside the frame and, as was just seen, inside
    // the guest's memory.
    unsafe {
        let at = space.inside(space.pointer(slot), end.unwrap_or(0).into());
        store(moves, space.frame.cast(), at.ok_or(Failure::Check)?);
    }
    Ok(())
}
