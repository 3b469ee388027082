//! Several grants of one function: which of them a call gets.
use super::section::Section;
use super::subject::Subject;
use crate::cli::report::HEADING;
use crate::cli::table::{Cell, Table, counted, filled, width};
use portcullis::bench::svg::escaped;
use portcullis::host::{conditions, tell_apart};
use portcullis::plan::Plan;
use portcullis::signature::Diagnostics;
use std::sync::Arc;

/// What there is to choose from, and how that is done. `None` where there is no choice.
pub fn section(subjects: &[Subject], plans: &[Option<Arc<Plan>>]) -> Option<Section> {
    if subjects.len() < 2 {
        return None;
    }
    let mut types: Vec<String> = Vec::new();
    for plan in plans.iter().flatten() {
        let ty = plan.lowering.to_string();
        if !types.contains(&ty) {
            types.push(ty);
        }
    }
    let several = types.len() > 1;
    let first = &subjects[0].prototype.name;
    let mut text = format!(
        "`{first}` is granted {} times. An import of it gets all grants that have its wasm type{}. A call takes the first \
         of them for whose arguments the __range of each parameter holds, before anything else is looked at; where none does, it \
         traps.",
        subjects.len(),
        if several { ", of which there are several here" } else { "" },
    );
    let wide = Some(width().map_or(100, |width| width.saturating_sub(2)));
    let mut html = format!("<p>{}</p>\n<table class=\"code\">\n<thead><tr>", escaped(&text));
    text = filled(&text, wide) + "\n\n";
    let mut table = Table::default();
    let head = |name| Cell::styled(name, HEADING);
    let mut heads = vec!["#"];
    heads.extend(several.then_some("wasm type"));
    heads.extend(["taken where", "prototype"]);
    heads.iter().for_each(|name| html.push_str(&format!("<th>{name}</th>")));
    html.push_str("</tr></thead>\n<tbody>\n");
    table.row(heads.into_iter().map(head));
    for (number, (subject, plan)) in subjects.iter().zip(plans).enumerate() {
        let mut cells = vec![(number + 1).to_string()];
        let ty = plan.as_ref().map_or_else(String::new, |plan| plan.lowering.to_string());
        cells.extend(several.then_some(ty));
        cells.push(plan.as_ref().map_or_else(|| "cannot be called".to_owned(), taken));
        cells.push(subject.prototype.as_written().to_string());
        html.push_str("<tr>");
        for (column, cell) in cells.iter().enumerate() {
            let cell = escaped(cell);
            html.push_str(&match column {
                0 => format!("<td><a href=\"#overload-{cell}\">{cell}</a></td>"),
                _ => format!("<td class=\"wrapped\">{cell}</td>"),
            });
        }
        html.push_str("</tr>\n");
        table.row(cells.into_iter().map(Cell::from));
    }
    text.push_str(&table.show_in(0, width().and(wide)));
    let section = Section::new(None, "overloads", "", text);
    Some(Section { table: Some(html + "</tbody>\n</table>\n"), ..section })
}

/// What must hold of the arguments.
fn taken(plan: &Arc<Plan>) -> String {
    let name = |at: usize| {
        let param = plan.prototype.function.params.get(at);
        let name = param.and_then(|param| param.name.as_ref());
        name.map_or_else(|| format!("parameter {}", at + 1), ToString::to_string)
    };
    let all = conditions(plan);
    let say = |chooses: bool| {
        let said = all.iter().filter(|one| one.chooses == chooses);
        said.map(|one| format!("{} {}", name(one.param), one.text)).collect::<Vec<_>>().join(", ")
    };
    match (say(true), say(false)) {
        (chooses, late) if late.is_empty() && chooses.is_empty() => "always".to_owned(),
        (chooses, late) if late.is_empty() => chooses,
        (chooses, late) if chooses.is_empty() => format!("always (the call itself: {late})"),
        (chooses, late) => format!("{chooses} (the call itself: {late})"),
    }
}

/// Why they are not linked, if they cannot be told apart.
pub fn mistake(subjects: &[Subject], plans: &[Option<Arc<Plan>>]) -> Option<Diagnostics> {
    let plans: Vec<(&Subject, &Plan)> = subjects
        .iter()
        .zip(plans)
        .filter_map(|(one, plan)| Some((one, &**plan.as_ref()?)))
        .collect();
    for (_, of) in &plans {
        let same = plans.iter().filter(|(_, plan)| plan.lowering == of.lowering);
        let (group, same): (Vec<&Subject>, Vec<&Plan>) = same.copied().unzip();
        if let Err((position, mistake)) = tell_apart(&same) {
            let Subject { name, text, .. } = group[position];
            return Some(Diagnostics::new(Arc::clone(name), Arc::clone(text), vec![*mistake]));
        }
    }
    None
}

/// What each of them is called: `2 of 3`.
pub fn title(number: usize, of: usize) -> String {
    format!("overload {} of {}", number + 1, counted(of, "overload").trim_end_matches(" overloads"))
}
