//! Parents before their children, as far as there is such an order.

use std::collections::BTreeSet;

/// The numbers below `count` in an order in which what is referred to comes before what refers
/// to it. `edges` are (from, to) pairs. A ring is entered where the fewest parents are still to
/// come; of equals, the smaller number comes first.
pub(crate) fn parents_first(
    count: usize,
    edges: impl IntoIterator<Item = (usize, usize)>,
) -> Vec<usize> {
    let mut parents: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (from, to) in edges.into_iter().filter(|(from, to)| from != to) {
        if let Some((parents, children)) = parents.get_mut(from).zip(children.get_mut(to))
            && parents.insert(to)
        {
            children.push(from);
        }
    }
    let mut waiting: BTreeSet<(usize, usize)> =
        parents.iter().enumerate().map(|(at, parents)| (parents.len(), at)).collect();
    let mut ordered = Vec::with_capacity(count);
    while let Some((open, first)) = waiting.first().copied() {
        let next = if open == 0 { first } else { on_a_ring(first, &parents) };
        let open = parents.get(next).map_or(0, BTreeSet::len);
        waiting.remove(&(open, next));
        ordered.push(next);
        for &child in children.get(next).into_iter().flatten() {
            let Some(parents) = parents.get_mut(child) else { continue };
            let was = (parents.len(), child);
            // A child that was taken before its parent does not come again.
            if parents.remove(&next) && waiting.remove(&was) {
                waiting.insert((parents.len(), child));
            }
        }
    }
    ordered
}

/// A member of the ring that `start` is on, or waits for.
fn on_a_ring(start: usize, parents: &[BTreeSet<usize>]) -> usize {
    let mut met = BTreeSet::new();
    let mut current = start;
    while met.insert(current) {
        match parents.get(current).and_then(BTreeSet::first) {
            Some(parent) => current = *parent,
            None => break,
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_rings_end() {
        for (edges, expected) in [
            (&[][..], [0, 1, 2, 3]),
            (&[(0, 1), (1, 2), (2, 3)], [3, 2, 1, 0]),
            (&[(0, 0), (0, 3), (0, 3)], [1, 2, 3, 0]),
            // A ring of 1 and 2, which 0 waits for.
            (&[(0, 1), (1, 2), (2, 1), (2, 3)], [3, 1, 0, 2]),
        ] {
            assert_eq!(parents_first(4, edges.iter().copied()), expected, "{edges:?}");
        }
    }
}
