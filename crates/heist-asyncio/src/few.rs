//! A short list in order: its first item costs no allocation.
//!
//! Nearly every cell has one waiter, and nearly every task waits on one cell.

/// A list that is nearly always empty or of one item. It is as large as an item that has a niche.
pub(crate) enum Few<T> {
    One(T),
    /// Any number; none at all without the box.
    #[expect(clippy::box_collection, reason = "the list is small where it is short")]
    Many(Option<Box<Vec<T>>>),
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few::Many(None)
    }
}

impl<T> Few<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Few::One(item) => std::slice::from_ref(item),
            Few::Many(items) => items.as_deref().map_or(&[], Vec::as_slice),
        }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Few::One(item) => std::slice::from_mut(item),
            Few::Many(items) => items.as_deref_mut().map_or(&mut [], Vec::as_mut_slice),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: T) {
        *self = match std::mem::take(self) {
            Few::Many(None) => Few::One(item),
            Few::One(first) => Few::Many(Some(Box::new(vec![first, item]))),
            Few::Many(Some(mut items)) => {
                items.push(item);
                Few::Many(Some(items))
            }
        };
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.as_slice().iter()
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.as_mut_slice().iter_mut()
    }

    /// Takes the first item out that fulfils the condition; the others keep their order.
    pub(crate) fn remove_where(&mut self, condition: impl Fn(&T) -> bool) -> Option<T> {
        let idx = self.iter().position(condition)?;
        match std::mem::take(self) {
            Few::One(item) => Some(item),
            Few::Many(mut items) => {
                let item = items.as_mut().map(|items| items.remove(idx));
                *self = Few::Many(items);
                item
            }
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Few::One(item) => (Some(item), None),
            Few::Many(items) => (None, items),
        };
        let many = many.map(|items| *items).unwrap_or_default();
        one.into_iter().chain(many)
    }
}
