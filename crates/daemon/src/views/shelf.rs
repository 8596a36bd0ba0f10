//! Agents in the order of their namespaces and names, in pieces that snapshots share.
//!
//! A snapshot is one pointer. As long as one is held, a change copies the piece that it falls into, and the list of pieces once;
//! otherwise it copies nothing. So a walk over a million agents sees them as they were at one moment, and nobody waits for it.

use std::sync::Arc;

use stead_engine::Shown;

/// A namespace and a name.
pub(super) type Place<'p> = (&'p str, &'p str);

/// Agents by their places. A clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    /// None is empty; each ends before the next begins.
    pieces: Arc<Vec<Piece>>,
    length: usize,
}

type Piece = Arc<Vec<Shown>>;

/// How many agents make a piece at most. One that is full is cut in two.
const MOST: usize = 512;

/// How many a piece gets at first, so that there is room for more.
const AT_FIRST: usize = MOST * 7 / 8;

impl Shelf {
    /// A shelf of agents in order, no two of which share a place.
    pub(super) fn of_sorted(agents: Vec<Shown>) -> Self {
        let length = agents.len();
        let mut agents = agents.into_iter();
        let mut pieces = Vec::with_capacity(length / AT_FIRST + 1);
        loop {
            let piece: Vec<Shown> = agents.by_ref().take(AT_FIRST).collect();
            if piece.is_empty() {
                break;
            }
            pieces.push(Arc::new(piece));
        }
        Self {
            pieces: Arc::new(pieces),
            length,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Puts an agent in its place; gives the one that was there.
    pub(super) fn put(&mut self, agent: Shown) -> Option<Shown> {
        let pieces = Arc::make_mut(&mut self.pieces);
        let here = home(pieces, agent.place()).min(pieces.len().saturating_sub(1));
        let Some(piece) = pieces.get_mut(here) else {
            pieces.push(Arc::new(vec![agent]));
            self.length = 1;
            return None;
        };
        let piece = Arc::make_mut(piece);
        match piece.binary_search_by(|known| known.place().cmp(&agent.place())) {
            Ok(found) => piece.get_mut(found).map(|known| std::mem::replace(known, agent)),
            Err(gap) => {
                if piece.len() == piece.capacity() {
                    // By little: there are thousands of pieces.
                    piece.reserve_exact(MOST / 8);
                }
                piece.insert(gap, agent);
                self.length += 1;
                if piece.len() > MOST {
                    let rest = piece.split_off(MOST / 2);
                    piece.shrink_to_fit();
                    pieces.insert(here + 1, Arc::new(rest));
                }
                None
            }
        }
    }

    /// Takes an agent out of its place.
    pub(super) fn take(&mut self, place: Place<'_>) -> Option<Shown> {
        let (here, found) = self.find(place)?;
        let pieces = Arc::make_mut(&mut self.pieces);
        let piece = Arc::make_mut(pieces.get_mut(here)?);
        let taken = piece.remove(found);
        if piece.is_empty() {
            pieces.remove(here);
        }
        self.length -= 1;
        Some(taken)
    }

    pub(super) fn get(&self, place: Place<'_>) -> Option<&Shown> {
        let (here, found) = self.find(place)?;
        self.pieces.get(here)?.get(found)
    }

    /// Everything beyond a place, in order.
    pub(super) fn beyond(&self, after: Option<Place<'_>>) -> impl Iterator<Item = &Shown> {
        let first = after.map_or(0, |after| home(&self.pieces, after));
        let mut pieces = self.pieces.get(first..).unwrap_or_default().iter();
        let within = pieces.next().map_or(&[][..], |piece| {
            let passed = after.map_or(0, |after| piece.partition_point(|known| known.place() <= after));
            piece.get(passed..).unwrap_or_default()
        });
        within.iter().chain(pieces.flat_map(|piece| piece.iter()))
    }

    fn find(&self, place: Place<'_>) -> Option<(usize, usize)> {
        let here = home(&self.pieces, place);
        let piece = self.pieces.get(here)?;
        let found = piece.binary_search_by(|known| known.place().cmp(&place)).ok()?;
        Some((here, found))
    }
}

/// The first piece that does not end before a place: the one that has it, if any does.
fn home(pieces: &[Piece], place: Place<'_>) -> usize {
    pieces.partition_point(|piece| piece.last().is_some_and(|last| last.place() < place))
}

#[cfg(test)]
mod tests;
