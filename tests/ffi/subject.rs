//! The crate itself: calls of C functions, and closures that C calls.
use crate::c_text;
use crate::contender::{Call, Contender};
use crate::generate::{Batch, Case};
use crate::library::{Loaded, Outcome, Values};
use crate::types::Type;
use portcullis::ffi::{Arguments, CallPlan, Closure, ValueLayout};
use std::ffi::c_void;
use std::sync::{Arc, Mutex};

/// The plan of a case.
fn parse(batch: &Batch, case: &Case) -> Result<CallPlan, String> {
    let prototype = c_text::prototype(batch, case);
    let plan = if case.inline {
        CallPlan::parse(&prototype)
    } else {
        CallPlan::parse_in(&prototype, &c_text::declarations(batch, case))
    };
    plan.map_err(|error| error.to_string())
}

/// The plan of a case, whose layouts are those of gcc.
fn plan(call: &Call<'_>) -> Result<CallPlan, String> {
    let plan = parse(call.batch, call.case)?;
    if plan.params().len() != call.case.params.len() {
        return Err(format!("the plan has {} parameters", plan.params().len()));
    }
    let agrees = |layout: &ValueLayout, ty: &Type| {
        layout.size == call.library.size(ty) && layout.align == call.library.align(ty)
    };
    let params = plan.params().iter().zip(&call.case.params);
    if let Some(wrong) = params.map(|(layout, ty)| agrees(layout, ty)).position(|right| !right) {
        return Err(format!("parameter {} is laid out differently", wrong + 1));
    }
    match (plan.result(), &call.case.result) {
        (None, None) => Ok(plan),
        (Some(layout), Some(ty)) if agrees(&layout, ty) => Ok(plan),
        _ => Err("the result is laid out differently".to_owned()),
    }
}

/// The crate calls gcc's callee.
pub struct Calls;

impl Contender for Calls {
    fn name(&self) -> &'static str {
        "call"
    }

    fn floor(&self, cases: usize) -> usize {
        cases
    }

    fn takes(&self, _batch: &Batch, _case: &Case) -> bool {
        true
    }

    fn run(&self, call: &Call<'_>, values: &mut Values) -> Result<Outcome, String> {
        make(call, values, &plan(call)?)
    }
}

/// Making code takes as long as everything else together, so that only some cases have it: one in so many.
const EACH: usize = 8;

/// The same by machine code of the plan.
pub struct Compiled;

impl Contender for Compiled {
    fn name(&self) -> &'static str {
        "compiled call"
    }

    fn floor(&self, cases: usize) -> usize {
        cases / EACH / 2
    }

    /// Cranelift knows nothing of x87 registers, and does not count vector registers for `...`.
    fn takes(&self, batch: &Batch, case: &Case) -> bool {
        if !case.number.is_multiple_of(EACH) {
            return false;
        }
        let plan = parse(batch, case);
        plan.is_ok_and(|plan| match plan.make_code() {
            Ok(()) => true,
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("the interpreter's stub makes the call"), "{told}");
                false
            }
        })
    }

    fn run(&self, call: &Call<'_>, values: &mut Values) -> Result<Outcome, String> {
        let plan = plan(call)?;
        plan.make_code().map_err(|error| error.to_string())?;
        make(call, values, &plan)
    }
}

/// Calls gcc's callee.
fn make(call: &Call<'_>, values: &mut Values, plan: &CallPlan) -> Result<Outcome, String> {
    let arguments: Vec<*const c_void> =
        values.arguments.iter().map(|argument| argument.cast_const()).collect();
    // SAFETY: the function has that prototype; there is a value of each type, and room for the
    // result.
    let called = unsafe { plan.call(call.library.callee(call.case), &arguments, values.result) };
    called.map_err(|error| error.to_string())?;
    let size = call.case.result.as_ref().map_or(0, |ty| call.library.size(ty));
    if !values.is_clean(size) {
        return Err("it wrote behind the result".to_owned());
    }
    values.hash_result(call.library, call.case);
    call.library.outcome()
}

/// gcc's caller calls a closure of the crate.
pub struct Closures;

impl Contender for Closures {
    fn name(&self) -> &'static str {
        "closure"
    }

    fn floor(&self, cases: usize) -> usize {
        cases
    }

    fn takes(&self, _batch: &Batch, _case: &Case) -> bool {
        true
    }

    fn run(&self, call: &Call<'_>, _values: &mut Values) -> Result<Outcome, String> {
        let plan = plan(call)?;
        let callee = Callee {
            library: Arc::clone(call.library),
            params: call.case.params.clone(),
            result: call.case.result.clone(),
        };
        let fault = Arc::new(Mutex::new(None));
        let told = Arc::clone(&fault);
        // Nothing unwinds through C: what is wrong is told when the call is over.
        let closure = Closure::new(&plan, move |arguments| {
            if let Err(error) = callee.run(&arguments) {
                *told.lock().expect("nobody panics with it") = Some(error);
            }
        });
        let closure = closure.map_err(|error| error.to_string())?;
        // SAFETY: the closure is a function with that prototype.
        unsafe { call.library.call(call.case, closure.as_ptr()) };
        if let Some(error) = fault.lock().expect("nobody panics with it").take() {
            return Err(error);
        }
        call.library.outcome()
    }
}

/// Does what gcc's callee does.
struct Callee {
    library: Arc<Loaded>,
    params: Vec<Type>,
    result: Option<Type>,
}

impl Callee {
    fn run(&self, arguments: &Arguments<'_>) -> Result<(), String> {
        if arguments.len() != self.params.len() {
            return Err(format!("the closure got {} arguments", arguments.len()));
        }
        let aligned = |place: *const c_void, ty| {
            !place.is_null() && place.addr().is_multiple_of(self.library.align(ty))
        };
        for (index, ty) in self.params.iter().enumerate() {
            let argument = arguments.get(index);
            if !aligned(argument, ty) {
                return Err(format!("argument {} is at {argument:?}", index + 1));
            }
            // SAFETY: the closure's prototype says that this is a value of that type.
            unsafe { self.library.hash(ty, argument) };
        }
        self.library.received();
        if let Some(ty) = &self.result {
            let result = arguments.result();
            if !aligned(result, ty) {
                return Err(format!("the result is at {result:?}"));
            }
            // SAFETY: as above.
            unsafe { self.library.make(ty, result) };
        }
        Ok(())
    }
}
