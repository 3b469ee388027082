//! `completions`: scripts that complete the command line in a shell.
use super::args::{self, Typed};
use super::log::LEVELS;
use super::page::Page;
use super::report::{Failure, Status};
use clap::CommandFactory as _;
use clap_complete::Shell;
use portcullis::interfaces;
use portcullis::plan::Limits;

/// Prints the script.
pub fn completions(typed: &args::Completions) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut Typed::command(), "portcullis", &mut script);
    let mut page = Page::default();
    page.lines(0, &with_names(typed.shell, &String::from_utf8_lossy(&script)));
    page.show()?;
    Ok(Status::Good)
}

/// What may stand behind an option, beside what its type says.
struct Names {
    option: &'static str,
    names: Vec<String>,
    /// Or the name of a file.
    or_file: bool,
}

fn names() -> [Names; 3] {
    let shipped = interfaces::all();
    let stem = |file: &str| file.strip_suffix(".h").unwrap_or(file).to_owned();
    [
        Names {
            option: "grant",
            names: shipped.iter().map(|(file, _)| stem(file)).collect(),
            or_file: true,
        },
        Names {
            option: "limit",
            names: Limits::NAMES.iter().map(|name| format!("{name}=")).collect(),
            or_file: false,
        },
        Names {
            option: "log",
            names: LEVELS.iter().map(|level| (*level).to_owned()).collect(),
            or_file: false,
        },
    ]
}

/// A script with the names that options know: the generator knows either names or files.
fn with_names(shell: Shell, script: &str) -> String {
    names().iter().fold(script.to_owned(), |script, names| match shell {
        Shell::Bash => names.in_bash(&script),
        Shell::Zsh => names.in_zsh(&script),
        Shell::Fish => names.in_fish(&script),
        _ => script,
    })
}

impl Names {
    fn in_bash(&self, script: &str) -> String {
        let (option, words) = (format!("--{})", self.option), self.names.join("\\n"));
        let names = format!("compgen -W $'{words}' -- \"${{cur}}\"");
        let all = match self.or_file {
            true => format!("$({names}; compgen -f -- \"${{cur}}\")"),
            false => format!("$({names})"),
        };
        let mut is_inside = false;
        let line = |line: &str| {
            match line.trim() {
                start if start == option => is_inside = true,
                ";;" => is_inside = false,
                _ => {}
            }
            let told = if is_inside {
                line.replace("$(compgen -f \"${cur}\")", &all)
            } else {
                line.to_owned()
            };
            // A value follows the name.
            let is_open = is_inside && told.contains("COMPREPLY") && words.contains('=');
            told + if is_open { "; compopt -o nospace" } else { "" } + "\n"
        };
        script.lines().map(line).collect()
    }

    fn in_zsh(&self, script: &str) -> String {
        let function = format!("_portcullis_{}", self.option);
        let words = self.names.join(" ");
        let (theirs, ours) = match self.or_file {
            true => (":_files'", format!(":{function}'")),
            false => (":_default'", format!(":({words})'")),
        };
        let (one, many) = (format!("'--{}=", self.option), format!("'*--{}=", self.option));
        let line = |line: &str| {
            let is_it = line.starts_with(&one) || line.starts_with(&many);
            if is_it { line.replace(theirs, &ours) + "\n" } else { line.to_owned() + "\n" }
        };
        let script: String = script.lines().map(line).collect();
        const END: &str = "if [ \"$funcstack[1]\" = \"_portcullis\" ]";
        match script.split_once(END).filter(|_| self.or_file) {
            Some((before, behind)) => format!(
                "{before}(( $+functions[{function}] )) ||\n{function}() {{\n    _alternative \
                 'shipped:interface that ships:({words})' 'files:file:_files'\n}}\n\n{END}{behind}"
            ),
            None => script,
        }
    }

    fn in_fish(&self, script: &str) -> String {
        let option = format!(" -l {} ", self.option);
        let words = self.names.join(" ");
        let line = |line: &str| match line.contains(&option) {
            true => format!("{line} -a \"{words}\"\n"),
            false => format!("{line}\n"),
        };
        script.lines().map(line).collect()
    }
}
