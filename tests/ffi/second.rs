//! libffi: a second opinion on the types that it can express.
use crate::contender::{Call, Contender};
use crate::generate::{Batch, Case};
use crate::library::{Outcome, Values};
use crate::types::{Facts, Pool, Record, SCALARS, Type};
use libffi::{low, raw};
use std::ffi::c_void;
use std::ptr::{addr_of_mut, null_mut};

/// libffi has structs, scalars and complex types.
const FOREIGN: Facts = Facts::UNION
    .and(Facts::BIT_FIELD)
    .and(Facts::PACKED)
    .and(Facts::ALIGNED)
    .and(Facts::VECTOR)
    .and(Facts::INT128)
    .and(Facts::HOLLOW);

pub struct Libffi;

impl Contender for Libffi {
    fn name(&self) -> &'static str {
        "libffi"
    }

    fn floor(&self, cases: usize) -> usize {
        cases / 6
    }

    fn takes(&self, batch: &Batch, case: &Case) -> bool {
        !case.facts(&batch.records).any(FOREIGN)
    }

    fn excuse(&self, call: &Call<'_>) -> Option<&'static str> {
        // It is in st0, where libffi leaves it.
        let ty = call.case.result.as_ref()?;
        let facts = ty.facts(&call.batch.records);
        let alone = facts.any(Facts::RECORD) && facts.any(Facts::LONG_DOUBLE);
        let fits = call.library.size(ty) == 16;
        (alone && fits).then_some("a result that is a struct of one long double")
    }

    fn run(&self, call: &Call<'_>, values: &mut Values) -> Result<Outcome, String> {
        let mut types = Types::default();
        let pool = &call.batch.records;
        let mut params: Vec<*mut low::ffi_type> =
            call.case.params.iter().map(|ty| types.of(ty, pool)).collect();
        let result = match &call.case.result {
            Some(ty) => types.of(ty, pool),
            None => addr_of_mut!(low::types::void),
        };
        let mut cif = low::ffi_cif::default();
        let abi = low::ffi_abi_FFI_DEFAULT_ABI;
        let count = params.len();
        // SAFETY: the types live until the call is over.
        let prepared = unsafe {
            match call.case.named {
                Some(named) => {
                    low::prep_cif_var(&mut cif, abi, named, count, result, params.as_mut_ptr())
                }
                None => low::prep_cif(&mut cif, abi, count, result, params.as_mut_ptr()),
            }
        };
        prepared.map_err(|error| format!("{error:?}"))?;
        // SAFETY: the function has the types that the description was prepared with, and there is
        // a value of each. The result has 64 bytes at least.
        unsafe {
            let function: unsafe extern "C" fn() =
                std::mem::transmute::<*const c_void, _>(call.library.callee(call.case));
            let arguments = values.arguments.as_mut_ptr();
            raw::ffi_call(&mut cif, Some(function), values.result, arguments);
            // What it leaves on the x87 stack would spoil the calls of others.
            std::arch::asm!("fninit");
        }
        values.hash_result(call.library, call.case);
        call.library.outcome()
    }
}

/// Descriptions of types, which point at each other.
#[derive(Default)]
struct Types {
    #[expect(clippy::vec_box, reason = "they must not move")]
    made: Vec<Box<low::ffi_type>>,
    elements: Vec<Box<[*mut low::ffi_type]>>,
}

impl Types {
    fn of(&mut self, ty: &Type, pool: &Pool) -> *mut low::ffi_type {
        match ty {
            Type::Scalar(number) => self.scalar(SCALARS[*number].spelling),
            Type::Record(number) => self.record(&pool[*number], pool),
            Type::Body(record) => self.record(record, pool),
            Type::Array(..) | Type::Tail(_) => {
                panic!("arrays are in records, which repeat their elements")
            }
        }
    }

    fn compound(&mut self, kind: u16, mut elements: Vec<*mut low::ffi_type>) -> *mut low::ffi_type {
        elements.push(null_mut());
        let mut elements = elements.into_boxed_slice();
        let ty = low::ffi_type {
            type_: kind,
            elements: elements.as_mut_ptr(),
            ..low::ffi_type::default()
        };
        self.elements.push(elements);
        self.made.push(Box::new(ty));
        std::ptr::from_mut(self.made.last_mut().expect("it was just pushed"))
    }

    fn record(&mut self, record: &Record, pool: &Pool) -> *mut low::ffi_type {
        let mut elements = Vec::new();
        for field in &record.fields {
            let (mut ty, mut count) = (&field.ty, 1);
            while let Type::Array(element, length) = ty {
                (ty, count) = (element, count * length);
            }
            let element = self.of(ty, pool);
            elements.extend(std::iter::repeat_n(element, count));
        }
        self.compound(low::type_tag::STRUCT, elements)
    }

    fn scalar(&mut self, spelling: &str) -> *mut low::ffi_type {
        use low::types;
        match spelling {
            "_Bool" | "unsigned char" => addr_of_mut!(types::uint8),
            "char" | "signed char" => addr_of_mut!(types::sint8),
            "short" => addr_of_mut!(types::sint16),
            "unsigned short" => addr_of_mut!(types::uint16),
            "int" | "enum signed_enum" => addr_of_mut!(types::sint32),
            "unsigned" | "enum unsigned_enum" => addr_of_mut!(types::uint32),
            "long" | "long long" => addr_of_mut!(types::sint64),
            "unsigned long" | "unsigned long long" => addr_of_mut!(types::uint64),
            "void *" => addr_of_mut!(types::pointer),
            "float" => addr_of_mut!(types::float),
            "double" => addr_of_mut!(types::double),
            "long double" => addr_of_mut!(types::longdouble),
            "_Complex float" => self.complex(addr_of_mut!(types::float)),
            "_Complex double" => self.complex(addr_of_mut!(types::double)),
            "_Complex long double" => self.complex(addr_of_mut!(types::longdouble)),
            other => panic!("libffi has no `{other}`"),
        }
    }

    fn complex(&mut self, part: *mut low::ffi_type) -> *mut low::ffi_type {
        let ty = self.compound(raw::ffi_type_enum_COMPLEX, vec![part]);
        // SAFETY: both are alive. libffi computes the layout of structs, not of complex types.
        unsafe {
            (*ty).size = 2 * (*part).size;
            (*ty).alignment = (*part).alignment;
        }
        ty
    }
}
