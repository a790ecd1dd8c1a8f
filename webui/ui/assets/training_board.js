/* The wall of a training: one step is held against step 0; what was chosen stays when it grows. */

let chosen = null; // a step; null follows the last one
let share = 50;

const paint = () => {
  const wall = element.querySelector('.wall');
  if (!wall) return;
  const cells = [...wall.querySelectorAll('[data-column]')];
  const there = cells.some((cell) => cell.dataset.column === chosen);
  const step = there ? chosen : wall.dataset.last;
  const told = wall.querySelector('[data-step-shown]');
  if (told.textContent !== `0 | ${step}`) told.textContent = `0 | ${step}`; // else it would never end
  wall.querySelector('input[type=range]').value = share;
  wall.style.setProperty('--share', `${share}%`);
  for (const row of wall.querySelectorAll('.row')) {
    const cell = row.querySelector(`[data-column='${step}']`);
    const source = cell?.querySelector('img').getAttribute('src');
    const now = row.querySelector('.now');
    if (source && now.getAttribute('src') !== source) now.setAttribute('src', source);
  }
  for (const cell of cells) cell.classList.toggle('chosen', cell.dataset.column === step);
  for (const use of wall.querySelectorAll('[data-column-use]')) {
    use.hidden = use.dataset.columnUse !== step;
  }
};

element.addEventListener('click', ({ target }) => {
  const cell = target.closest('[data-column]');
  const use = target.closest('[data-use]');
  if (cell) {
    chosen = cell.dataset.column;
    paint();
  }
  if (use) trigger('select', { step: use.dataset.use });
});

element.addEventListener('input', ({ target }) => {
  if (target.type !== 'range') return;
  share = target.value;
  paint();
});

let shown = null;
new MutationObserver(() => {
  const run = element.querySelector('.run')?.dataset.run ?? null;
  if (run !== shown) chosen = null;
  shown = run;
  paint();
}).observe(element, { childList: true, subtree: true });
paint();
