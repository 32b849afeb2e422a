//! A short list in order: its first item costs no allocation.
//!
//! Nearly every cell has one waiter, and nearly every task waits on one cell.

/// A list that is nearly always empty or of one item.
pub(crate) struct Few<T> {
    /// `None` only where the list is empty.
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few {
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<T> Few<T> {
    pub(crate) fn of(item: T) -> Few<T> {
        Few {
            first: Some(item),
            rest: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: T) {
        match &self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.push(item),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    /// Takes the first item out that fulfils the condition; the others keep their order.
    pub(crate) fn remove_where(&mut self, condition: impl Fn(&T) -> bool) -> Option<T> {
        if !self.first.as_ref().is_some_and(&condition) {
            let found = self.rest.iter().position(condition);
            return found.map(|idx| self.rest.remove(idx));
        }
        let next = (!self.rest.is_empty()).then(|| self.rest.remove(0));
        std::mem::replace(&mut self.first, next)
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
