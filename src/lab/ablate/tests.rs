use super::*;
use crate::heads::Kind;
use crate::lab::tables::{Frozen, Units, table, tables};

fn method(units: &str) -> Method {
    Method { units: Some(Units::try_from(units.to_owned()).unwrap()), ..Method::default() }
}

#[test]
fn a_row_is_the_authors_recipe_but_for_what_it_says() {
    let base = Recipe::default();
    let full = recipe(&Method { prompting: true, ..method("POCM") }, &base, ROUNDS, 0).unwrap();
    assert_eq!(full, base, "the whole of it is the default");
    let row = recipe(&method("OC"), &base, 3, 7).unwrap();
    let (o, c) = (Kind::Object, Kind::Context);
    assert_eq!((row.units, row.layers, row.seed), (vec![o, c, o, c, o, c], 0, 7));
    let causal = recipe(&Method { after: Some(0), ..method("M") }, &base, 1, 0).unwrap();
    assert_eq!((causal.before, causal.after), (30, 0));
    let base = Recipe { layers: 0, ..base };
    assert_eq!(recipe(&Method { prompting: true, ..method("P") }, &base, 1, 0).unwrap().layers, 1);
    assert!(recipe(&Method { frozen: Some(Frozen::Baseline), ..Method::default() }, &base, 1, 0).is_none());
}

#[test]
fn every_row_can_be_trained() {
    for table in tables().unwrap() {
        for row in table.rows.iter().filter_map(|row| row.method.as_ref()) {
            if let Some(recipe) = recipe(row, &Recipe::default(), ROUNDS, 0) {
                recipe.check().unwrap();
            }
        }
    }
    // What only judges otherwise is not trained again.
    let beyond = table("beyond").unwrap();
    let recipes: Vec<Recipe> = beyond
        .rows
        .iter()
        .filter_map(|row| recipe(row.method.as_ref()?, &Recipe::default(), ROUNDS, 0))
        .collect();
    let distinct = recipes.iter().enumerate().filter(|(index, one)| !recipes[..*index].contains(one)).count();
    assert_eq!((recipes.len(), distinct), (9, 2));
}
