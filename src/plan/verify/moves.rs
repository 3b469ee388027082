//! Whether moves are those of a type: for each byte of a value that the host's C code has, where it
//! comes from. Read from the layouts of the type, field by field, and compared with what the moves
//! do to the frame, byte by byte.
use super::demand::{Reader, Reading};
use crate::plan::abi::{Abi, Location, Value};
use crate::plan::layout::{Scalar, Target, extent_of, scalar_of};
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::At;
use crate::signature::{Float, RecordKind, Scope, Type, TypeKind};
use std::collections::BTreeMap;

/// Where one byte on the host's side comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Those bits of the byte at that offset, unchanged.
    Plain { memory: u64, mask: u8 },
    /// Byte `index` of what a conversion makes of the bytes at that offset.
    Converted { kind: MoveKind, memory: u64, index: u32 },
}

pub(super) type Bytes = BTreeMap<u64, Origin>;

/// A run of the frame: bytes of the value from `host` on, `bytes` of them, in `room` bytes.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) host: u64,
    pub(super) bytes: u64,
    pub(super) at: At,
    pub(super) room: usize,
}

/// The runs of a value that travels in pieces.
pub(super) fn rooms(value: &Value, image: impl Fn(Location) -> Option<At>) -> Reading<Vec<Room>> {
    let room = |piece: &crate::plan::abi::Piece| {
        let at = image(piece.location).ok_or("a piece without a place")?;
        let room = usize::try_from(piece.size).map_err(|e| e.to_string())?.next_multiple_of(8);
        Ok(Room { host: piece.offset.into(), bytes: piece.size.into(), at, room })
    };
    value.pieces.iter().map(room).collect()
}

impl Reader {
    /// Why `moves` are not those of `ty` between the guest's memory and those runs of the frame.
    /// `inward`: into the frame, where no byte may stay what it was.
    pub(super) fn check_moves(
        &self,
        ty: &Type,
        moves: &[Move],
        rooms: &[Room],
        inward: bool,
    ) -> Reading<()> {
        let mut expected = Bytes::new();
        self.origins(ty, 0, 0, &mut expected)?;
        let in_rooms = |host: u64| {
            let room = rooms.iter().find(|r| (r.host..r.host + r.bytes).contains(&host))?;
            Some(room.at.offset() as u64 + (host - room.host))
        };
        let mut wanted = Bytes::new();
        for (host, origin) in expected {
            match (in_rooms(host), origin) {
                (Some(frame), _) => {
                    wanted.insert(frame, origin);
                }
                // Of an x87 value only the first 10 bytes are more than padding.
                (None, Origin::Converted { kind: MoveKind::Extended, index: 10.., .. }) => {}
                (None, _) => return Err("a member that does not travel".to_owned()),
            }
        }
        let (mut found, mut cleared) = (Bytes::new(), BTreeMap::new());
        for one in moves {
            let (memory, frame) = (u64::from(one.memory), one.frame.offset() as u64);
            for index in 0..one.kind.frame_bytes() {
                let at = frame + u64::from(index);
                let origin = match one.kind {
                    MoveKind::Clear(_) if memory == 0 && !found.contains_key(&at) => {
                        cleared.insert(at, ());
                        continue;
                    }
                    MoveKind::Clear(_) => return Err("clears what was moved".to_owned()),
                    MoveKind::Bytes(_) => {
                        Origin::Plain { memory: memory + u64::from(index), mask: u8::MAX }
                    }
                    MoveKind::Bits(mask) => Origin::Plain { memory, mask },
                    kind => Origin::Converted { kind, memory, index },
                };
                if matches!(origin, Origin::Converted { kind: MoveKind::Extended, index: 10.., .. })
                    && !wanted.contains_key(&at)
                {
                    continue;
                }
                if found.insert(at, origin).is_some() {
                    return Err("moves a byte twice".to_owned());
                }
            }
        }
        if found != wanted {
            return Err("moves other bytes than the type has".to_owned());
        }
        let in_a_room = |at: &u64| {
            rooms.iter().any(|room| {
                let start = room.at.offset() as u64;
                (start..start + room.room as u64).contains(at)
            })
        };
        if !cleared.keys().all(in_a_room) {
            return Err("clears what is not the value's".to_owned());
        }
        let whole = |at: u64| {
            let moved = match found.get(&at) {
                Some(Origin::Plain { mask, .. }) => *mask == u8::MAX,
                Some(Origin::Converted { .. }) => true,
                None => false,
            };
            moved || cleared.contains_key(&at)
        };
        let defined = |room: &Room| {
            let start = room.at.offset() as u64;
            (start..start + room.room as u64).all(whole)
        };
        if inward && !rooms.iter().all(defined) {
            return Err("leaves bytes as they were".to_owned());
        }
        Ok(())
    }

    fn host_size(&self, ty: &Type) -> Reading<u64> {
        let extent = extent_of(ty, &Scope::default(), Target::Host(self.abi));
        extent.map(|extent| extent.size).map_err(|error| error.to_string())
    }

    /// Notes where the bytes of a value of that type come from.
    fn origins(&self, ty: &Type, memory: u64, host: u64, all: &mut Bytes) -> Reading<()> {
        if let Some(scalar) = scalar_of(ty) {
            return self.scalar_origins(scalar, memory, host, all);
        }
        match &ty.kind {
            TypeKind::Complex(part) => {
                let part = Scalar::Float(*part);
                let size = u64::from(part.host_size());
                self.scalar_origins(part, memory, host, all)?;
                self.scalar_origins(part, memory + size, host + size, all)
            }
            TypeKind::Vector { bytes, .. } => plain(memory, host, (*bytes).into(), all),
            TypeKind::Array { length: None, .. } => Ok(()),
            TypeKind::Array { element, .. } => {
                let (one, step) = (self.host_size(element)?, self.guest_size(element)?);
                let count = self.host_size(ty)?.checked_div(one).unwrap_or(0);
                for index in 0..count {
                    self.origins(element, memory + index * step, host + index * one, all)?;
                }
                Ok(())
            }
            TypeKind::Record(record) => {
                let body = record.body.as_ref().ok_or("a struct without a body")?;
                let kept = self.places(record, ty, false)?;
                let found = self.places(record, ty, true)?;
                let mut members = Bytes::new();
                for ((field, kept), found) in body.fields.iter().zip(kept).zip(found) {
                    let mut own = Bytes::new();
                    match (found.bits, &field.name) {
                        (Some(_), None) => continue,
                        (Some(bits), Some(_)) => {
                            if kept.bits != found.bits {
                                return Err("bit-fields that differ".to_owned());
                            }
                            let set: u128 = ((1 << bits.width) - 1) << bits.shift;
                            for (byte, mask) in set.to_le_bytes().into_iter().enumerate() {
                                if mask != 0 {
                                    let byte = byte as u64;
                                    let memory = memory + kept.offset + byte;
                                    let origin = Origin::Plain { memory, mask };
                                    own.insert(host + found.offset + byte, origin);
                                }
                            }
                        }
                        (None, _) => {
                            let (memory, host) = (memory + kept.offset, host + found.offset);
                            self.origins(&field.ty, memory, host, &mut own)?;
                        }
                    }
                    let is_union = record.kind == RecordKind::Union;
                    for (at, origin) in own {
                        lay(&mut members, at, origin, is_union)?;
                    }
                }
                all.extend(members);
                Ok(())
            }
            _ => Err("a member that is no value".to_owned()),
        }
    }

    pub(super) fn scalar_origins(
        &self,
        scalar: Scalar,
        memory: u64,
        host: u64,
        all: &mut Bytes,
    ) -> Reading<()> {
        let (kept, size) = (scalar.size(self.model), scalar.host_size());
        let kind = match scalar {
            Scalar::Pointer => return Err("a pointer in a struct".to_owned()),
            Scalar::Bool => MoveKind::Bool,
            Scalar::Float(Float::LongDouble) if self.abi == Abi::SysvX86_64 => MoveKind::Extended,
            _ if kept == size => return plain(memory, host, size.into(), all),
            _ if self.abi.is_signed(scalar) => MoveKind::Signed32,
            _ => MoveKind::Unsigned32,
        };
        for index in 0..size {
            all.insert(host + u64::from(index), Origin::Converted { kind, memory, index });
        }
        Ok(())
    }
}

pub(super) fn plain(memory: u64, host: u64, bytes: u64, all: &mut Bytes) -> Reading<()> {
    for index in 0..bytes {
        let origin = Origin::Plain { memory: memory + index, mask: u8::MAX };
        all.insert(host + index, origin);
    }
    Ok(())
}

/// Lays a member's byte beside, or in a union over, those of others. Members of a union are moved
/// as they are, so that they must agree on where their bytes are.
pub(super) fn lay(all: &mut Bytes, at: u64, origin: Origin, is_union: bool) -> Reading<()> {
    let origin = match origin {
        Origin::Converted { kind: MoveKind::Bool, memory, .. } if is_union => {
            Origin::Plain { memory, mask: u8::MAX }
        }
        Origin::Converted { .. } if is_union => {
            return Err("a union whose members differ on the host".to_owned());
        }
        other => other,
    };
    let merged = match (all.get(&at), origin) {
        (None, origin) => origin,
        (Some(Origin::Plain { memory: m, mask: other }), Origin::Plain { memory, mask })
            if *m == memory =>
        {
            Origin::Plain { memory, mask: mask | other }
        }
        _ => return Err("members that lie over each other".to_owned()),
    };
    all.insert(at, merged);
    Ok(())
}
