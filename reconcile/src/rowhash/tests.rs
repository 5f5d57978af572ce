use super::*;
use mapping::plan::PgType;

fn column(name: &str, compare: Compare) -> TargetColumn {
    TargetColumn { name: name.into(), pg_type: PgType::Text, from: None, compare, sensitive: false }
}

fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut fields = Vec::new();
    for value in values {
        match value {
            None => fields.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                fields.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                fields.extend_from_slice(value);
            }
        }
    }
    fields
}

fn comparer(rules: &[Compare]) -> Comparer {
    let columns: Vec<_> = rules.iter().map(|rule| column("c", rule.clone())).collect();
    Comparer::new(&columns, |_| false)
}

fn same(comparer: &Comparer, a: &[u8], b: &[u8], is_deleted: bool) -> bool {
    let mut scratch = Vec::new();
    comparer.hash(a, is_deleted, &mut scratch).unwrap()
        == comparer.hash(b, is_deleted, &mut scratch).unwrap()
}

const ID: Option<&[u8]> = Some(&[1; 16]);

#[test]
fn null_differs_from_empty_and_a_blank_at_the_end_counts() {
    let exact = comparer(&[Compare::Exact, Compare::Exact]);
    let null = row(&[ID, None]);
    let empty = row(&[ID, Some(b"")]);
    let blank = row(&[ID, Some(b" ")]);
    for (a, b) in [(&null, &empty), (&empty, &blank), (&null, &blank)] {
        assert!(!same(&exact, a, b, false));
        assert_eq!(exact.differing(a, b, false), Ok(vec![1]));
    }
    assert!(same(&exact, &null, &null.clone(), false));
}

#[test]
fn bytes_do_not_move_between_columns() {
    let exact = comparer(&[Compare::Exact, Compare::Exact, Compare::Exact]);
    let a = row(&[ID, Some(b"ab"), Some(b"c")]);
    let b = row(&[ID, Some(b"a"), Some(b"bc")]);
    assert!(!same(&exact, &a, &b, false));
}

#[test]
fn presence_and_skip_are_honoured() {
    let rules = [Compare::Exact, Compare::Presence, Compare::Skip("noise".into())];
    let some = comparer(&rules);
    let a = row(&[ID, Some(b"2020"), Some(b"x")]);
    let b = row(&[ID, Some(b"2021"), None]);
    let c = row(&[ID, None, Some(b"x")]);
    assert!(same(&some, &a, &b, false));
    assert_eq!(some.differing(&a, &b, false), Ok(vec![]));
    assert!(!same(&some, &a, &c, false));
    assert_eq!(some.differing(&a, &c, false), Ok(vec![1]));
}

#[test]
fn a_soft_deleted_row_is_compared_without_its_references() {
    let columns = [Compare::Exact, Compare::Exact, Compare::Exact].map(|rule| column("c", rule));
    let exact = Comparer::new(&columns, |column| std::ptr::eq(column, &columns[1]));
    let kept = row(&[ID, Some(b"owner"), Some(b"x")]);
    let lost = row(&[ID, None, Some(b"x")]);
    assert!(same(&exact, &kept, &lost, true));
    assert_eq!(exact.differing(&kept, &lost, true), Ok(vec![]));
    assert!(!same(&exact, &kept, &lost, false));
    let other = row(&[ID, None, Some(b"y")]);
    assert!(!same(&exact, &kept, &other, true));
    assert_eq!(exact.differing(&kept, &other, true), Ok(vec![2]));
    let mut scratch = Vec::new();
    let live = exact.hash(&kept, false, &mut scratch).unwrap();
    assert_ne!(live, exact.hash(&kept, true, &mut scratch).unwrap());
}

#[test]
fn a_row_of_another_shape_is_refused() {
    let presence = comparer(&[Compare::Exact, Compare::Presence]);
    let mut scratch = Vec::new();
    for fields in [row(&[ID]), row(&[ID, None, None]), vec![0, 0, 0, 9, 1], vec![0xfe; 8]] {
        assert_eq!(presence.hash(&fields, false, &mut scratch), Err(BadShape), "{fields:?}");
    }
    assert_eq!(id_of(&row(&[ID])), Ok([1; 16]));
    assert_eq!(id_of(&row(&[None])), Err(BadShape));
}

#[test]
fn whether_a_row_is_soft_deleted_counts_where_no_column_says_it() {
    let some = comparer(&[Compare::Exact, Compare::Presence]);
    let a = row(&[ID, Some(b"2020")]);
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    some.compared(&a, false, &mut there).unwrap();
    some.compared(&a, true, &mut gone).unwrap();
    assert_ne!(there, gone);
}

#[test]
fn a_row_without_its_parent_equals_no_row_that_has_one_of_zeros() {
    let exact = comparer(&[Compare::Exact, Compare::Exact]);
    let zeros = row(&[ID, Some(&[0; 16])]);
    let hash = exact.hash(&zeros, false, &mut Vec::new()).unwrap();
    assert_ne!(Comparer::hash_unresolved(hash), hash);
}
