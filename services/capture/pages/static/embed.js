/* Baitwell: draws a bait's form where this script tag stands.
   <script async src="https://HOST/embed.js" data-bait="SLUG" data-lang="zh-CN"></script>
   No cookie. Nothing inline: a page's CSP needs only this host in script-src and connect-src. */
(function () {
  'use strict';
  var STYLE =
    ':host{display:block;max-width:30rem;font:16px/1.6 system-ui,-apple-system,"PingFang SC","Microsoft YaHei",sans-serif;color:inherit}' +
    '*{box-sizing:border-box}h2{font-size:1.3em;line-height:1.3;margin:0 0 .5em}p{margin:.4em 0}' +
    'label,legend{display:block;font-weight:600;margin:.9em 0 .3em;padding:0}fieldset{border:0;margin:0;padding:0;min-width:0}' +
    'input:not([type=checkbox]):not([type=radio]),select,textarea{width:100%;font:inherit;color:inherit;background:transparent;border:1px solid #8a8f98;border-radius:9px;padding:.65em .8em}' +
    '.choice{display:flex;font-weight:400;align-items:flex-start}.choice input{width:1.2em;height:1.2em;margin:.2em .6em 0 0;flex:none}' +
    'button,.go{display:block;width:100%;margin-top:1.1em;border:0;border-radius:9px;background:#b4411f;color:#fff;font:inherit;font-weight:700;padding:.8em;text-align:center;text-decoration:none;cursor:pointer}' +
    'button[disabled]{opacity:.6}:focus-visible{outline:3px solid #b4411f;outline-offset:2px}' +
    '.error{color:#a3151f;font-weight:600}.soft{opacity:.75;font-size:.9em;font-weight:400}' +
    '[aria-invalid=true]:not([type=checkbox]):not([type=radio]){border:2px solid #a3151f!important}fieldset[aria-invalid=true]{border-radius:9px;padding:.4em .7em}[type=checkbox][aria-invalid=true]{outline:2px solid #a3151f}';
  var tag = document.currentScript;
  if (!tag) {
    return;
  }
  var host = new URL(tag.src, location.href).origin;
  var slug = tag.getAttribute('data-bait');
  var lang = tag.getAttribute('data-lang');
  if (!slug) {
    console.error('baitwell: data-bait is missing');
    return;
  }
  var api = host + '/v1/baits/' + encodeURIComponent(slug);
  var query = lang ? '?lang=' + encodeURIComponent(lang) : '';

  function make(name, attributes, children) {
    var element = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (key) {
      var value = attributes[key];
      if (value !== null && value !== undefined && value !== false) {
        element.setAttribute(key, value === true ? '' : value);
      }
    });
    (children || []).forEach(function (child) {
      element.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
    });
    return element;
  }

  function dress(root) {
    try {
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
    } catch (old) {
      /* browsers without constructed style sheets */
      root.appendChild(make('style', {}, [STYLE]));
    }
  }

  /* One key for one filling of the form: a repeat is the same lead. */
  function newKey() {
    var bytes = [];
    var i;
    if (window.crypto && crypto.getRandomValues) {
      bytes = Array.prototype.slice.call(crypto.getRandomValues(new Uint8Array(16)));
    } else {
      for (i = 0; i < 16; i++) {
        bytes.push(Math.floor(Math.random() * 256));
      }
    }
    return bytes.map(function (byte) {
      return ('0' + byte.toString(16)).slice(-2);
    }).join('');
  }

  function source() {
    var found = { landing_page: location.origin + location.pathname };
    if (document.referrer) {
      found.referrer = document.referrer.split(/[?#]/)[0];
    }
    location.search.slice(1).split('&').forEach(function (pair) {
      var at = pair.indexOf('=');
      if (/^utm_(source|medium|campaign|term|content)=/.test(pair)) {
        try {
          found[pair.slice(0, at)] = decodeURIComponent(pair.slice(at + 1).replace(/\+/g, ' ')).slice(0, 200);
        } catch (broken) {
          /* not decodable: left out */
        }
      }
    });
    return found;
  }

  var KINDS = { email: ['text', 'email'], tel: ['tel'], integer: ['text', 'numeric'], number: ['text', 'decimal'], date: ['date'] };

  function control(item, words) {
    var id = 'bw-' + item.id;
    var name = [item.label];
    if (/^fields\./.test(item.id) && !item.required) {
      name.push(' ', make('span', { class: 'soft' }, [words.optional]));
    }
    if (item.kind === 'radios' || item.kind === 'boxes') {
      return make('fieldset', {}, [make('legend', {}, name)].concat(item.options.map(function (option) {
        var type = item.kind === 'radios' ? 'radio' : 'checkbox';
        return make('label', { class: 'choice' }, [make('input', { type: type, name: item.id, value: option.value }), option.label]);
      })));
    }
    if (item.kind === 'box') {
      return make('label', { class: 'choice' }, [make('input', { type: 'checkbox', name: item.id, value: 'yes' }), item.label]);
    }
    var common = { id: id, name: item.id, required: item.required, maxlength: item.longest, autocomplete: item.autocomplete };
    var input;
    if (item.kind === 'select') {
      input = make('select', { id: id, name: item.id, required: item.required }, [make('option', { value: '' }, [words.choose])].concat(
        item.options.map(function (option) {
          return make('option', { value: option.value }, [option.label]);
        })));
    } else if (item.kind === 'lines') {
      common.rows = 4;
      input = make('textarea', common);
    } else {
      common.type = (KINDS[item.kind] || ['text'])[0];
      common.inputmode = (KINDS[item.kind] || [])[1];
      input = make('input', common);
    }
    var label = make('label', { for: id }, name);
    var hint = item.hint ? [make('p', { class: 'soft' }, [item.hint])] : [];
    return make('div', {}, [label, input].concat(hint));
  }

  function collect(view, form, body) {
    function all(id) {
      return Array.prototype.filter.call(form.elements, function (element) {
        return element.name === id;
      });
    }
    function put(group, item) {
      var found = all(item.id);
      var name = item.id.slice(item.id.indexOf('.') + 1);
      if (item.kind === 'boxes' || item.kind === 'radios') {
        found = found.filter(function (element) { return element.checked; }).map(function (element) { return element.value; });
        if (found.length) {
          group[name] = item.kind === 'boxes' ? found : found[0];
        }
      } else if (found[0].type === 'checkbox') {
        if (found[0].checked) {
          group[name] = true;
        }
      } else if (found[0].value) {
        group[name] = found[0].value;
      }
    }
    view.contacts.forEach(function (item) { put(body.contact, item); });
    view.inputs.forEach(function (item) { put(body.fields, item); });
    view.consents.forEach(function (item) { put(body.consents, item); });
    return body;
  }

  function draw(box, root, view) {
    var words = view.texts;
    var key = newKey();
    var sent = false;
    var status = make('p', { class: 'error', role: 'alert' });
    var button = make('button', {}, [words.submit]);
    var slots = {};

    /* what is marked when an answer is wrong: the field, or the set of choices */
    function marked(slot) {
      var around = slot.parentNode;
      return around.tagName === 'FIELDSET' ? around : around.querySelector('input,select,textarea');
    }

    function withSlot(item, element) {
      slots[item.id] = make('p', { class: 'error', id: 'bw-e-' + item.id });
      element.appendChild(slots[item.id]);
      return element;
    }
    var contacts = view.contacts.map(function (item) { return withSlot(item, control(item, words)); });
    if (view.one_of) {
      contacts = [make('fieldset', {}, [make('legend', {}, [words.one_of])].concat(contacts))];
    }
    var parts = [make('h2', { lang: view.language }, [view.title])];
    view.description.split('\n').forEach(function (line) {
      if (line.trim()) {
        parts.push(make('p', { lang: view.language }, [line]));
      }
    });
    parts = parts.concat(contacts, view.inputs.map(function (item) { return withSlot(item, control(item, words)); }));
    view.consents.forEach(function (item) {
      var label = make('label', { class: 'choice', lang: view.language }, [make('input', { type: 'checkbox', name: item.id, value: 'yes' }), item.text]);
      parts.push(withSlot(item, make('div', {}, [label])));
    });
    var form = make('form', { novalidate: true, lang: view.lang }, parts.concat([status, button]));

    function complain(problem) {
      var shown = false;
      (problem.errors || []).forEach(function (error) {
        var slot = slots[error.field];
        if (slot) {
          var element = marked(slot);
          slot.textContent = error.message;
          element.setAttribute('aria-invalid', 'true');
          element.setAttribute('aria-describedby', slot.id);
          if (!shown) {
            (element.querySelector('input') || element).focus();
          }
          shown = true;
        }
      });
      status.textContent = shown ? words.check : problem.detail || problem.title || words.failed;
    }

    function clear() {
      status.textContent = '';
      Object.keys(slots).forEach(function (id) {
        var element = marked(slots[id]);
        slots[id].textContent = '';
        element.removeAttribute('aria-invalid');
        element.removeAttribute('aria-describedby');
      });
    }

    function done(answer) {
      var thanks = make('div', { role: 'status', tabindex: '-1', lang: view.lang }, [
        make('h2', {}, [words.thanks]),
        make('p', {}, [words[answer.resource] || ''])
      ]);
      if (answer.thanks) {
        thanks.appendChild(make('a', {
          class: 'go', target: '_blank', rel: 'noopener',
          href: host + answer.thanks + (lang ? '&lang=' + encodeURIComponent(lang) : '')
        }, [words.go_on]));
      }
      root.replaceChild(thanks, form);
      thanks.focus();
      box.dispatchEvent(new CustomEvent('baitwell:submitted', {
        bubbles: true, composed: true, detail: { bait: slug, lead_id: answer.lead_id }
      }));
    }

    form.addEventListener('input', function () {
      if (sent) {
        key = newKey();
        sent = false;
      }
    });
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      clear();
      button.disabled = true;
      button.textContent = words.sending;
      sent = true;
      fetch(api + '/leads' + query, {
        method: 'POST',
        credentials: 'omit',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: JSON.stringify(collect(view, form, {
          contact: {}, fields: {}, consents: {}, source: source(), language: view.lang, form_version: view.version, way: 'script'
        }))
      }).then(function (response) {
        return response.json().then(response.ok ? done : complain);
      }).catch(function () {
        status.textContent = words.failed;
      }).then(function () {
        button.disabled = false;
        button.textContent = words.submit;
      });
    });
    root.appendChild(form);
  }

  var box = make('div', { 'data-baitwell': slug });
  tag.parentNode.insertBefore(box, tag);
  var root = box.attachShadow ? box.attachShadow({ mode: 'open' }) : box;
  dress(root);
  fetch(api + '/form' + query, { credentials: 'omit' }).then(function (response) {
    return response.json().then(function (answer) {
      if (response.ok) {
        draw(box, root, answer);
      } else {
        root.appendChild(make('p', { class: 'soft' }, [answer.title || '']));
      }
    });
  }).catch(function () {
    console.error('baitwell: the form could not be loaded');
  });
})();
