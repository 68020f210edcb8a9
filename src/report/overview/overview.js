const find = document.querySelector('#find'), output = document.querySelector('output');
const clips = [...document.querySelectorAll('.clip')], buttons = [...document.querySelectorAll('button')];
const filter = () => {
  const text = find.value.trim().toLowerCase(), words = text.split(/\s+/);
  for (const clip of clips) clip.hidden = !words.every(word => clip.dataset.find.includes(word));
  const shown = clips.filter(clip => !clip.hidden).length;
  output.textContent = text ? `${shown} of ${clips.length} shown` : '';
  for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.find === text));
};
find.parentElement.hidden = false;
find.addEventListener('input', filter);
for (const button of buttons) {
  button.addEventListener('click', () => {
    find.value = button.getAttribute('aria-pressed') === 'true' ? '' : button.dataset.find;
    filter();
  });
}
filter();
