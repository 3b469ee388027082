//! What a prototype demands of a plan, read from its types and annotations alone (DESIGN 5.1, 5.2).
//!
//! This is the verifier's own reading: the compiler has another one, and neither uses the other.
use super::crossing::Crossing;
use super::life::captor;
use crate::plan::abi::Abi;
use crate::plan::layout::{DataModel, Extent, Scalar, Target, extent_of, scalar_of};
use crate::plan::op::{Direction, Fate, Null, Width};
use crate::signature::{
    Expr, Ident, Integer, Lender, NoteKind, Record, RecordKind, Scope, Type, TypeKind,
};

/// For whom a prototype is read.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) abi: Abi,
    /// The guest's data model.
    pub(super) model: DataModel,
}

/// How an argument must be made.
pub(super) enum Argument<'p> {
    /// The guest's value, converted as C does it.
    Scalar(Scalar),
    /// Nothing: it has no bytes.
    Nothing,
    /// Two `i64`s.
    Two(Scalar),
    /// A `v128`.
    Vector,
    /// A value in the guest's memory, taken apart.
    Object,
    /// The value of an expression (`__value`).
    Computed(Scalar, &'p Expr),
    /// A handle.
    Handle { name: String, null: Null, fate: Fate },
    /// Elements in the guest's memory.
    Buffer { count: Elements<'p>, size: u64, align: u32, null: Null, writable: bool },
    /// A string in the guest's memory.
    Text { unit: u32, null: Null, writable: bool },
    /// One integer: in place, if nothing depends on it and the layouts agree, or in a cell.
    Integer { guest: Width, host: Width, direction: Direction, null: Null, writable: bool },
    /// A guest function.
    Function { null: Null },
    /// A copy of all that it leads to.
    Copied,
    /// A pointer that native code fills in; with `text` a string goes in.
    Pointer { null: Null, text: bool },
    /// An integer that C carries; NULL when that callback is.
    Cookie { with: Option<&'p Ident> },
    /// A handle that stands for an integer.
    Descriptor { name: String, fate: Fate },
    /// A handle behind the pointer, that the call takes; what 0 means for either.
    HandleCell { name: String, null: Null, empty: Null },
    /// An integer that native code leaves and that becomes such a handle.
    DescriptorCell { null: Null },
}

/// How many elements a buffer has.
pub(super) enum Elements<'p> {
    One,
    Counted(&'p Expr),
}

/// How a pointer from native code becomes the guest's.
pub(super) enum Incoming<'p> {
    /// As a handle.
    Object { name: String, borrowed: bool, lender: Option<&'p Ident> },
    /// It points into the guest's memory.
    Inside,
    /// As a handle that stands for an integer.
    Descriptor { name: String, borrowed: bool, lender: Option<&'p Ident> },
    /// As the integer that it is in the range of cookies.
    Cookie,
    /// As a copy.
    Copy { extent: Reach<'p>, owner: Owner<'p> },
}

/// How far a native pointer reaches.
pub(super) enum Reach<'p> {
    Text(u32),
    Counted(&'p Expr, u64),
    Object(u64),
    /// As its shape says.
    Shape,
}

/// Who owns a guest copy.
pub(super) enum Owner<'p> {
    /// The guest; native memory is freed by that function.
    Guest(&'p Ident),
    /// A handle parameter; what the guest leaves goes back if `true`.
    Lent(&'p Ident, bool),
    /// The library.
    Static,
    /// The library, unless the pointer points into the guest's memory.
    StaticUnlessInside,
}

pub(super) type Reading<T> = Result<T, String>;

impl Reader {
    /// How the argument of a parameter must be made.
    pub(super) fn argument<'p>(&self, ty: &'p Type, crossing: Crossing) -> Reading<Argument<'p>> {
        if ty.pointee().is_some_and(|pointee| matches!(pointee.kind, TypeKind::Function(_))) {
            let null = if has(ty, &NoteKind::Nullable) { Null::Allowed } else { Null::Refused };
            return Ok(Argument::Function { null });
        }
        refuse_misplaced(ty)?;
        let scalar = match crossing {
            Crossing::One(scalar) => scalar,
            Crossing::Nothing => return Ok(Argument::Nothing),
            Crossing::Two(scalar) => return Ok(Argument::Two(scalar)),
            Crossing::Vector => return Ok(Argument::Vector),
            Crossing::Address => return Ok(Argument::Object),
        };
        if has(ty, &NoteKind::Handle) && scalar != Scalar::Pointer {
            let only_value = find(ty, |kind| {
                matches!(kind, NoteKind::Range(..) | NoteKind::Value(_)).then_some(())
            });
            if only_value.is_some() {
                return Err("the value of a descriptor".to_owned());
            }
            let name = self.descriptor(ty)?;
            return Ok(Argument::Descriptor { name, fate: fate(ty) });
        }
        if scalar != Scalar::Pointer {
            return Ok(
                match find(ty, |kind| match kind {
                    NoteKind::Value(expr) => Some(expr),
                    _ => None,
                }) {
                    Some(expr) if !scalar.is_float() => Argument::Computed(scalar, expr),
                    _ => Argument::Scalar(scalar),
                },
            );
        }
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        let writable = !pointee.quals.is_const;
        let null = if has(ty, &NoteKind::Nullable) { Null::Allowed } else { Null::Refused };
        if let TypeKind::Record(record) = &pointee.kind {
            if captor(ty).is_some() && fate(ty) == Fate::Consumed {
                return Err("a handle that is both consumed and kept".to_owned());
            }
            return Ok(Argument::Handle { name: name_of(record), null, fate: fate(ty) });
        }
        if let Some(with) = cookie(ty) {
            return Ok(Argument::Cookie { with });
        }
        let whole = counted(ty).is_some() || is_text(ty);
        if captor(ty).is_some() && (writable || !whole || scalar_of(pointee) == Some(Scalar::Bool))
        {
            return Err("data that cannot be kept".to_owned());
        }
        if has(pointee, &NoteKind::Handle) && pointee.pointee().is_none() {
            self.descriptor(pointee)?;
            if counted(ty).is_some() || direction(ty, pointee) != Direction::Out {
                return Err("a descriptor that native code reads".to_owned());
            }
            return Ok(Argument::DescriptorCell { null });
        }
        let changes = |kind| {
            matches!(kind, &NoteKind::Consumes | &NoteKind::ConsumesIf(_) | &NoteKind::Retains)
                .then_some(())
        };
        if find(ty, changes).is_some() {
            return self.held(ty, pointee, null);
        }
        if let Some((expr, by_bytes)) = counted(ty) {
            let element = self.element(pointee)?;
            let or_null = matches!(expr, NoteKind::CountedByOrNull(_));
            let null = match (has(ty, &NoteKind::Nonnull), or_null) {
                (true, _) => Null::Refused,
                (false, true) => Null::Allowed,
                (false, false) => Null::IfEmpty,
            };
            let size = if by_bytes { 1 } else { element.size };
            let count = Elements::Counted(count_of(expr)?);
            return Ok(Argument::Buffer { count, size, align: element.align, null, writable });
        }
        if let TypeKind::Pointer(_) = pointee.kind {
            let text = has(ty, &NoteKind::Inout);
            let reads = pointee.pointee().is_some_and(|element| element.quals.is_const);
            if text && !(reads && is_text(pointee) && self.text_unit(pointee)? == 1) {
                return Err("a pointer to a pointer that goes both ways".to_owned());
            }
            return Ok(Argument::Pointer { null, text });
        }
        if is_text(ty) {
            return Ok(Argument::Text { unit: self.text_unit(ty)?, null, writable });
        }
        match scalar_of(pointee) {
            Some(scalar @ (Scalar::Bool | Scalar::Integer(_))) => {
                let guest = self.width(scalar, self.model).ok_or("a 128-bit integer")?;
                let host = self.width(scalar, DataModel::Lp64).ok_or("a 128-bit integer")?;
                let direction = direction(ty, pointee);
                Ok(Argument::Integer { guest, host, direction, null, writable })
            }
            Some(Scalar::Float(_)) => {
                let Extent { size, align } = self.element(pointee)?;
                Ok(Argument::Buffer { count: Elements::One, size, align, null, writable })
            }
            Some(Scalar::Pointer) | None => Err("a pointer to something without size".to_owned()),
        }
    }

    /// A handle behind a pointer, that the call takes.
    fn held<'p>(&self, ty: &Type, inner: &Type, null: Null) -> Reading<Argument<'p>> {
        let said = |ty: &Type| {
            ty.notes.iter().any(|note| {
                use NoteKind as N;
                matches!(note.kind, N::Retains | N::In | N::Out | N::Borrowed | N::LifetimeBound(_))
                    || matches!(note.kind, N::Remember(..))
            })
        };
        match inner.pointee().map(|object| &object.kind) {
            Some(TypeKind::Record(record)) if !said(ty) && !said(inner) => {
                let nullable = has(inner, &NoteKind::Nullable);
                let empty = if nullable { Null::Allowed } else { Null::Refused };
                Ok(Argument::HandleCell { name: name_of(record), null, empty })
            }
            _ => Err("a handle behind a pointer that changes its owner".to_owned()),
        }
    }

    /// How a pointer of that type, from native code, becomes the guest's. `is_result`: it is the
    /// function's result.
    pub(super) fn incoming<'p>(
        &self,
        ty: &'p Type,
        is_result: bool,
        is_shaped: bool,
    ) -> Reading<Incoming<'p>> {
        refuse_misplaced(ty)?;
        if has(ty, &NoteKind::Handle) && ty.pointee().is_none() {
            let lender = find(ty, |kind| match kind {
                NoteKind::LifetimeBound(Lender::Param(name)) => Some(name),
                _ => None,
            });
            let borrowed = has(ty, &NoteKind::Borrowed);
            return Ok(Incoming::Descriptor { name: self.descriptor(ty)?, borrowed, lender });
        }
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        if matches!(pointee.kind, TypeKind::Function(_)) {
            return Err("a function pointer from native code".to_owned());
        }
        if cookie(ty).is_some() {
            return Ok(Incoming::Cookie);
        }
        if captor(ty).is_some() || has(pointee, &NoteKind::Handle) {
            return Err("something that native code returns and keeps, or descriptors".to_owned());
        }
        let lender = find(ty, |kind| match kind {
            NoteKind::LifetimeBound(lender) => Some(lender),
            _ => None,
        });
        if let TypeKind::Record(record) = &pointee.kind
            && !is_shaped
        {
            let lender = match lender {
                Some(Lender::Param(name)) => Some(name),
                Some(Lender::Static) | None => None,
            };
            let borrowed = has(ty, &NoteKind::Borrowed);
            return Ok(Incoming::Object { name: name_of(record), borrowed, lender });
        }
        let freed = find(ty, |kind| match kind {
            NoteKind::FreedBy(function) => Some(function),
            _ => None,
        });
        let owner = match (freed, lender) {
            (Some(function), _) => Owner::Guest(function),
            (None, Some(Lender::Param(name))) => {
                let back = is_result && has(ty, &NoteKind::Inout);
                if back && (is_shaped || pointee.quals.is_const) {
                    return Err("data with pointers, or `const`, that goes back".to_owned());
                }
                Owner::Lent(name, back)
            }
            (None, Some(Lender::Static)) => Owner::Static,
            (None, None) if is_result && is_text(ty) && pointee.quals.is_const => {
                Owner::StaticUnlessInside
            }
            (None, None) => return Ok(Incoming::Inside),
        };
        let extent = if is_shaped {
            Reach::Shape
        } else if let Some((note, by_bytes)) = counted(ty) {
            let size = if by_bytes { 1 } else { self.element(pointee)?.size };
            Reach::Counted(count_of(note)?, size)
        } else if is_text(ty) {
            Reach::Text(self.text_unit(ty)?)
        } else {
            Reach::Object(self.element(pointee)?.size)
        };
        Ok(Incoming::Copy { extent, owner })
    }

    /// What handles that stand for integers of that type are called.
    pub(super) fn descriptor(&self, ty: &Type) -> Reading<String> {
        let int = scalar_of(ty).and_then(|scalar| self.width(scalar, DataModel::Lp64));
        if !matches!(int, Some(Width::I32 | Width::U32)) || scalar_of(ty) == Some(Scalar::Bool) {
            return Err("a descriptor that has not 32 bits".to_owned());
        }
        Ok(ty.alias.as_ref().map_or_else(|| "int descriptor".to_owned(), ToString::to_string))
    }

    /// Size and alignment of the elements behind a pointer: scalars that look the same to the
    /// guest and to the host. `void` counts bytes.
    pub(super) fn element(&self, ty: &Type) -> Reading<Extent> {
        if ty.kind == TypeKind::Void {
            return Ok(Extent { size: 1, align: 1 });
        }
        match scalar_of(ty) {
            None | Some(Scalar::Pointer) => return Err("elements that are no numbers".to_owned()),
            Some(_) => {}
        }
        let scope = Scope::default();
        let on = |target| extent_of(ty, &scope, target).map_err(|error| error.to_string());
        let host = on(Target::Host(self.abi))?;
        if on(Target::Guest(self.model))?.size != host.size {
            return Err("elements whose layouts differ".to_owned());
        }
        Ok(host)
    }

    /// Size of the elements of a string.
    pub(super) fn text_unit(&self, ty: &Type) -> Reading<u32> {
        let scalar = ty.pointee().and_then(scalar_of).ok_or("a string of no characters")?;
        let (guest, host) = (scalar.guest_size(self.model), scalar.host_size());
        if guest == host && host <= 4 && scalar != Scalar::Pointer {
            Ok(host)
        } else {
            Err("a string of wide elements".to_owned())
        }
    }

    /// How an integer of that type is stored under a data model. Signs are those of the host, who
    /// is the one to use the value.
    pub(super) fn width(&self, scalar: Scalar, model: DataModel) -> Option<Width> {
        if scalar.is_float() || scalar == Scalar::Pointer {
            return None;
        }
        Some(match (scalar.size(model), self.abi.is_signed(scalar)) {
            (1, true) => Width::I8,
            (1, false) => Width::U8,
            (2, true) => Width::I16,
            (2, false) => Width::U16,
            (4, true) => Width::I32,
            (4, false) => Width::U32,
            (8, true) => Width::I64,
            (8, false) => Width::U64,
            _ => return None,
        })
    }
}

/// The callback that a cookie belongs to; `None`: it is no cookie.
fn cookie(ty: &Type) -> Option<Option<&Ident>> {
    find(ty, |kind| match kind {
        NoteKind::Cookie => Some(None),
        NoteKind::Closure(callback) => Some(Some(callback)),
        _ => None,
    })
}

/// Annotations of records, and those that only a parameter can have, where they describe something else.
fn refuse_misplaced(ty: &Type) -> Reading<()> {
    let later = |kind: &NoteKind| {
        use NoteKind as N;
        matches!(kind, N::Boxed)
    };
    let inner = |kind: &NoteKind, level| {
        use NoteKind as N;
        match kind {
            N::CapturedBy(_) | N::Retains | N::Exclusive => level > 0,
            N::Cookie | N::Closure(_) | N::Handle | N::Remember(..) => level > 1,
            _ => false,
        }
    };
    let (mut next, mut level) = (Some(ty), 0);
    while let Some(ty) = next {
        let refused = |kind: &NoteKind| later(kind) || inner(kind, level);
        if let Some(note) = ty.notes.iter().find(|note| refused(&note.kind)) {
            return Err(format!("`{}`", note.kind));
        }
        (next, level) = (ty.pointee(), level + 1);
    }
    Ok(())
}

pub(super) fn has(ty: &Type, kind: &NoteKind) -> bool {
    ty.notes.iter().any(|note| note.kind == *kind)
}

pub(super) fn find<'p, T>(ty: &'p Type, f: impl Fn(&'p NoteKind) -> Option<T>) -> Option<T> {
    ty.notes.iter().find_map(|note| f(&note.kind))
}

/// The annotation that counts what is behind a pointer, and whether it counts bytes.
pub(super) fn counted(ty: &Type) -> Option<(&NoteKind, bool)> {
    find(ty, |kind| match kind {
        NoteKind::CountedBy(_) | NoteKind::CountedByOrNull(_) => Some((kind, false)),
        NoteKind::SizedBy(_) => Some((kind, true)),
        _ => None,
    })
}

pub(super) fn count_of(note: &NoteKind) -> Reading<&Expr> {
    match note {
        NoteKind::CountedBy(e) | NoteKind::CountedByOrNull(e) | NoteKind::SizedBy(e) => Ok(e),
        _ => Err("a count that is none".to_owned()),
    }
}

/// Whether a pointer is to a string: said so, or `const char *` with nothing said.
pub(super) fn is_text(ty: &Type) -> bool {
    if has(ty, &NoteKind::NullTerminated) {
        return true;
    }
    let Some(pointee) = ty.pointee() else { return false };
    pointee.kind == TypeKind::Integer(Integer::Char)
        && pointee.quals.is_const
        && !has(ty, &NoteKind::Single)
        && counted(ty).is_none()
}

fn direction(ty: &Type, pointee: &Type) -> Direction {
    if has(ty, &NoteKind::Out) {
        Direction::Out
    } else if has(ty, &NoteKind::In) || pointee.quals.is_const {
        Direction::In
    } else {
        Direction::InOut
    }
}

pub(super) fn fate(ty: &Type) -> Fate {
    let mut fate = Fate::Kept;
    for note in &ty.notes {
        match note.kind {
            NoteKind::Consumes | NoteKind::ConsumesIf(_) => return Fate::Consumed,
            NoteKind::Invalidates => fate = Fate::Invalidated,
            _ => {}
        }
    }
    fate
}

pub(super) fn name_of(record: &Record) -> String {
    let keyword = match record.kind {
        RecordKind::Struct => "struct",
        RecordKind::Union => "union",
    };
    record.tag.as_ref().map_or_else(|| keyword.to_owned(), |tag| format!("{keyword} {tag}"))
}
