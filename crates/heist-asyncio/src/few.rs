//! A short list in order: its first item costs no allocation.
//!
//! Nearly every cell has one waiter, and nearly every task waits on one cell.

/// A list that is nearly always empty or of one item.
pub(crate) struct Few<T> {
    /// `None` only where the list is empty.
    first: Option<T>,
    #[expect(clippy::box_collection, reason = "the list is small where it is short")]
    rest: Option<Box<Vec<T>>>,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few {
            first: None,
            rest: None,
        }
    }
}

impl<T> Few<T> {
    pub(crate) fn of(item: T) -> Few<T> {
        Few {
            first: Some(item),
            rest: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: T) {
        match &self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.get_or_insert_default().push(item),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let rest = self.rest.iter_mut().flat_map(|rest| rest.iter_mut());
        self.first.iter_mut().chain(rest)
    }

    /// Takes the first item out that fulfils the condition; the others keep their order.
    pub(crate) fn remove_where(&mut self, condition: impl Fn(&T) -> bool) -> Option<T> {
        let rest = self.rest.as_deref_mut();
        if !self.first.as_ref().is_some_and(&condition) {
            let rest = rest?;
            let found = rest.iter().position(condition);
            return found.map(|idx| rest.remove(idx));
        }
        let next = rest
            .filter(|rest| !rest.is_empty())
            .map(|rest| rest.remove(0));
        std::mem::replace(&mut self.first, next)
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let rest = self.rest.map(|rest| *rest).unwrap_or_default();
        self.first.into_iter().chain(rest)
    }
}
