//! From CLIF to machine code that may be run.
//!
//! Nothing is run that was not verified; that may trap, because a fault outside of wasmtime's own code
//! ends the process; or that refers to anything outside of itself but for what [`Outside`] names.
use super::lower::{Lowered, Way, lower};
use super::machine::{Machine, Outside, Patch};
use super::unwind::Table;
use super::{Unsupported, probe};
use crate::plan::{Kind, Plan};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir::{ExternalName, Function, UserExternalName, UserExternalNameRef};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, FinalizedMachReloc, FinalizedRelocTarget, verify_function};
use cranelift_frontend::FunctionBuilderContext;
use std::sync::{Mutex, OnceLock, PoisonError};

type Names = PrimaryMap<UserExternalNameRef, UserExternalName>;

/// What makes code, once a process.
pub(super) struct Compiler {
    pub isa: OwnedTargetIsa,
    /// Memory of compilations that are over, to be used again.
    spare: Mutex<Vec<Workshop>>,
}

/// What one compilation works with.
struct Workshop {
    context: Context,
    builder: FunctionBuilderContext,
}

impl Workshop {
    fn new() -> Workshop {
        Workshop { context: Context::new(), builder: FunctionBuilderContext::new() }
    }
}

/// The compiler, when a trial call has shown that it knows the C ABI.
pub(super) fn compiler() -> Result<&'static Compiler, Unsupported> {
    static COMPILER: OnceLock<Result<Compiler, Unsupported>> = OnceLock::new();
    let compiler = COMPILER.get_or_init(|| {
        let compiler = Compiler::new()?;
        probe::try_everything(&compiler)?;
        Ok(compiler)
    });
    compiler.as_ref().map_err(Clone::clone)
}

impl Compiler {
    fn new() -> Result<Compiler, Unsupported> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
            return Err(Unsupported::Machine);
        }
        Compiler::of(cranelift_native::builder().map_err(|error| codegen(&error))?)
    }

    /// One whose code every x86-64 processor can run. It has not been tried: its code is for reading.
    pub(super) fn portable() -> Result<Compiler, Unsupported> {
        let builder = isa::lookup_by_name("x86_64-unknown-linux-gnu");
        Compiler::of(builder.map_err(|error| codegen(&error))?)
    }

    fn of(builder: isa::Builder) -> Result<Compiler, Unsupported> {
        let mut flags = settings::builder();
        let wanted = [
            ("opt_level", "speed"),
            // Code is verified here, always.
            ("enable_verifier", "false"),
            // `perf` and `gdb` walk by frame pointers.
            ("preserve_frame_pointers", "true"),
            ("unwind_info", "true"),
            // A frame of more than a page touches its pages in order.
            ("enable_probestack", "true"),
            ("probestack_strategy", "inline"),
        ];
        for (name, value) in wanted {
            flags.set(name, value).map_err(|error| codegen(&error))?;
        }
        let isa = builder.finish(settings::Flags::new(flags)).map_err(|error| codegen(&error))?;
        Ok(Compiler { isa, spare: Mutex::default() })
    }

    fn workshop(&self) -> Workshop {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_else(Workshop::new)
    }

    fn give_back(&self, mut workshop: Workshop) {
        workshop.context.clear();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(workshop);
    }

    /// What code may need of the processor, as Cranelift calls it.
    pub(super) fn features(&self) -> Vec<Box<str>> {
        let flags = self.isa.isa_flags().into_iter();
        flags.filter(|flag| flag.as_bool() == Some(true)).map(|flag| flag.name.into()).collect()
    }

    /// The CLIF of a plan.
    pub(super) fn lower(&self, plan: &Plan, way: Way) -> Result<Lowered, Unsupported> {
        let mut workshop = self.workshop();
        let config = self.isa.frontend_config();
        let lowered = match plan.kind {
            Kind::Callback => super::callback::lower(plan, config, &mut workshop.builder),
            Kind::Import | Kind::Call | Kind::Closure => {
                lower(plan, way, config, &mut workshop.builder)
            }
        };
        if lowered.is_ok() {
            // A builder that was given up in the middle is not used again.
            self.give_back(workshop);
        }
        lowered
    }

    /// The code of a plan, and whether it may want to be resumed.
    pub(super) fn compile(&self, plan: &Plan, way: Way) -> Result<(Machine, bool), Unsupported> {
        let Lowered { function, notes, resumes, .. } = self.lower(plan, way)?;
        Ok((self.finish(function, &notes.outside)?, resumes))
    }

    /// Verifies a function and makes code of it. The names that it uses are `outside`, in that order.
    pub(super) fn finish(
        &self,
        function: Function,
        outside: &[Outside],
    ) -> Result<Machine, Unsupported> {
        let mut workshop = self.workshop();
        workshop.context.func = function;
        let code = self.machine_code(&mut workshop.context, outside);
        self.give_back(workshop);
        code
    }

    /// As [`Compiler::finish`]; also from which byte on the code is of instructions with which number.
    pub(super) fn finish_numbered(
        &self,
        function: Function,
        outside: &[Outside],
    ) -> Result<(Machine, Vec<(u32, u32)>), Unsupported> {
        let mut workshop = self.workshop();
        workshop.context.func = function;
        let code = self.machine_code(&mut workshop.context, outside);
        let compiled = workshop.context.compiled_code();
        let ranges = compiled.map_or(&[][..], |compiled| compiled.buffer.get_srclocs_sorted());
        let ranges = ranges.iter().map(|range| (range.start, range.loc.bits())).collect();
        self.give_back(workshop);
        Ok((code?, ranges))
    }

    fn machine_code(
        &self,
        context: &mut Context,
        outside: &[Outside],
    ) -> Result<Machine, Unsupported> {
        let isa = &*self.isa;
        verify_function(&context.func, isa).map_err(|errors| codegen(&errors))?;
        let names = context.func.params.user_named_funcs().clone();
        let compiled = context.compile(isa, &mut ControlPlane::default());
        let compiled = compiled.map_err(|error| codegen(&error.inner))?;
        let buffer = &compiled.buffer;
        if !buffer.traps().is_empty() {
            return Err(Unsupported::Traps(buffer.traps().len()));
        }
        let patches: Option<Box<[_]>> =
            buffer.relocs().iter().map(|one| patch(one, &names, outside)).collect();
        let patches = patches.ok_or(Unsupported::Relocations(buffer.relocs().len()))?;
        let unwind = compiled.create_unwind_info(isa).map_err(|error| codegen(&error))?;
        Ok(Machine {
            bytes: buffer.data().into(),
            align: isa.function_alignment().preferred,
            patches,
            table: Table::of(isa, unwind)?,
        })
    }
}

/// A relocation, if it is a whole address of something that is known.
fn patch(found: &FinalizedMachReloc, names: &Names, outside: &[Outside]) -> Option<Patch> {
    let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = &found.target else {
        return None;
    };
    let name = names.get(*name)?;
    let what = *outside.get(name.index as usize)?;
    (found.kind == Reloc::Abs8 && found.addend == 0).then_some(Patch { at: found.offset, what })
}

/// Says what Cranelift says.
pub(super) fn codegen(error: &impl ToString) -> Unsupported {
    Unsupported::Codegen(error.to_string())
}
