/* The models tab: a card that is opened, and files that are dropped or chosen. Runs once for each. */

element.addEventListener('click', (event) => {
  const card = event.target.closest('[data-open]');
  if (!card) return;
  for (const other of element.querySelectorAll('.card')) {
    other.classList.toggle('chosen', other === card);
  }
  trigger('select', { id: card.dataset.open });
  if (matchMedia('(max-width: 720px)').matches) {
    document.querySelector('#models_detail').scrollIntoView({ behavior: 'smooth' });
  }
});

/* A picture that cannot be shown leaves the place to the card's initial. */
element.addEventListener('error', ({ target }) => {
  if (target.matches?.('.cover img')) target.remove();
}, true);

if (element.querySelector('.model-drop')) {
  atelier.shelf = { element, told: (outcome) => trigger('submit', outcome) };

  element.addEventListener('change', ({ target }) => {
    atelier.bring([...target.files]);
    target.value = '';
  });

  for (const [name, over] of [['dragover', true], ['dragleave', false], ['drop', false]]) {
    element.addEventListener(name, (event) => {
      event.preventDefault();
      element.firstElementChild?.classList.toggle('over', over);
      if (name === 'drop') atelier.bring([...event.dataTransfer.files]);
    });
  }
}
