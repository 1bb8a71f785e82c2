//! Tables of a list in the text: which goes, where a new one comes, and whose the comments between two of them are.
//!
//! What a parser gives as the beginning of a table is all that stands between it and the last value before it: what is
//! left over of the table before (settings that are switched off), then an empty line, then what is about this one.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value};

use super::{EditError, list};

/// Between two tables' positions there is room for so many new ones.
const ROOM: isize = 1 << 16;

/// Makes room for new tables between those that are there.
pub(super) fn spread(document: &mut DocumentMut) {
    visit(document.as_table_mut(), &mut |table| {
        let position = table.position().map(|position| position.saturating_mul(ROOM));
        table.set_position(position);
    });
}

/// Makes the list `key`, of the document or of one of its cameras, hold those of its `count` tables that are `kept`, and
/// behind them an empty one for each `None`. Returns where each of them is.
pub(super) fn arrange(
    document: &mut DocumentMut,
    camera: Option<usize>,
    key: &'static str,
    count: usize,
    kept: &[Option<usize>],
) -> Result<Vec<usize>, EditError> {
    // The new ones first, so that they come where the others are, even if all those go.
    for _ in kept.iter().filter(|kept| kept.is_none()) {
        append(document, camera, key)?;
    }
    let is_kept = |index: &usize| kept.contains(&Some(*index));
    for index in (0..count).rev().filter(|index| !is_kept(index)) {
        remove(document, camera, key, index);
    }
    let mut new = (0..count).filter(is_kept).count()..;
    let mut place = |kept: &Option<usize>| match kept {
        Some(index) => Some((0..*index).filter(is_kept).count()),
        None => new.next(),
    };
    Ok(kept.iter().filter_map(&mut place).collect())
}

/// Table `index` of the list, whether as `[[key]]` or in a list of `{ }`.
pub(super) fn element<'a>(
    document: &'a mut DocumentMut,
    camera: Option<usize>,
    key: &str,
    index: usize,
) -> Option<&'a mut dyn TableLike> {
    match owner(document, camera)?.get_mut(key)? {
        Item::ArrayOfTables(tables) => Some(tables.get_mut(index)?),
        Item::Value(Value::Array(tables)) => Some(tables.get_mut(index)?.as_inline_table_mut()?),
        _ => None,
    }
}

/// The table that the list is in.
fn owner(document: &mut DocumentMut, camera: Option<usize>) -> Option<&mut dyn TableLike> {
    match camera {
        Some(index) => element(document, None, "camera", index),
        None => Some(document.as_table_mut()),
    }
}

fn remove(document: &mut DocumentMut, camera: Option<usize>, key: &str, index: usize) {
    let gone = match owner(document, camera).and_then(|owner| owner.get_mut(key)) {
        Some(Item::ArrayOfTables(tables)) if index < tables.len() => tables.remove(index),
        Some(Item::Value(Value::Array(tables))) if index < tables.len() => {
            return list::remove(tables, index);
        }
        _ => return,
    };
    let above = text(gone.decor().prefix());
    // Of the first what stands above is about all of them; of others what stands apart from it is not about them.
    let kept = match above.rfind("\n\n") {
        _ if index == 0 => above,
        Some(end) => above.get(..=end).unwrap_or_default(),
        None => "",
    };
    let Some(position) = gone.position() else { return };
    change_above_next(document, position, |above, end| format!("{kept}{}", leftovers(above, end).1));
}

fn append(document: &mut DocumentMut, camera: Option<usize>, key: &'static str) -> Result<(), EditError> {
    let in_braces = camera.is_some() && document.get("camera").is_some_and(Item::is_value);
    let of_camera = camera.and_then(|camera| match document.get_mut("camera") {
        Some(Item::ArrayOfTables(cameras)) => cameras.get_mut(camera).and_then(last_position),
        _ => None,
    });
    let end = of_camera.or_else(|| last_position(document.as_table_mut()));
    let owner = self::owner(document, camera).ok_or(EditError::NoList(key))?;
    let list = owner.entry(key).or_insert_with(|| match in_braces {
        true => Item::Value(Value::Array(Array::new())),
        false => Item::ArrayOfTables(ArrayOfTables::new()),
    });
    let tables = match list {
        Item::Value(Value::Array(tables)) => {
            list::insert(tables, tables.len(), Value::InlineTable(InlineTable::new()));
            return Ok(());
        }
        Item::ArrayOfTables(tables) => tables,
        _ => return Err(EditError::NoList(key)),
    };
    let last = tables.iter_mut().filter_map(last_position).max().or(end);
    let mut table = Table::new();
    table.set_position(last.map(|last| last + 1));
    tables.push(table);
    let mut above = String::from("\n");
    if let Some(last) = last {
        change_above_next(document, last + 1, |next, end| {
            let (left, own) = leftovers(next, end);
            above.insert_str(0, left);
            own.to_owned()
        });
    }
    if let Some(Item::ArrayOfTables(tables)) =
        self::owner(document, camera).and_then(|owner| owner.get_mut(key))
        && let Some(table) = tables.iter_mut().last()
    {
        table.decor_mut().set_prefix(above);
    }
    Ok(())
}

/// What of the text above a table, or of that at the end of the file, belongs to the table before; and the rest.
fn leftovers(above: &str, end_of_file: bool) -> (&str, &str) {
    match above.find("\n\n") {
        // An empty line at once: nothing is left over.
        _ if above.starts_with('\n') => ("", above),
        Some(end) => above.split_at(end + 1),
        None if end_of_file => (above, ""),
        None => ("", above),
    }
}

/// Changes what stands above the table that follows `position`, or at the end of the text.
fn change_above_next(document: &mut DocumentMut, position: isize, change: impl FnOnce(&str, bool) -> String) {
    let mut next = None;
    let follows = |table: &Table| table.position().filter(|other| *other > position);
    visit(document.as_table_mut(), &mut |table| {
        next = [next, follows(table)].into_iter().flatten().min();
    });
    let Some(next) = next else {
        let trailing = change(document.trailing().as_str().unwrap_or_default(), true);
        document.set_trailing(trailing);
        return;
    };
    let mut change = Some(change);
    visit(document.as_table_mut(), &mut |table| {
        if table.position() == Some(next)
            && let Some(change) = change.take()
        {
            let above = change(text(table.decor().prefix()), false);
            table.decor_mut().set_prefix(above);
        }
    });
}

fn text(raw: Option<&RawString>) -> &str {
    raw.and_then(RawString::as_str).unwrap_or_default()
}

/// Of a table and all within it.
fn last_position(table: &mut Table) -> Option<isize> {
    let mut last = table.position();
    visit(table, &mut |table| last = last.max(table.position()));
    last
}

/// Calls `each` with every table that has a header of its own within `table`.
fn visit(table: &mut Table, each: &mut dyn FnMut(&mut Table)) {
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => {
                each(inner);
                visit(inner, each);
            }
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|inner| {
                each(inner);
                visit(inner, each);
            }),
            _ => {}
        }
    }
}
