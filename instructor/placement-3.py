# %% reference
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% correct: with bernoulli and a list
def run(x, weight_state, keep_prob):
    coins = torch.bernoulli(torch.full(x.shape[1:], keep_prob, dtype=x.dtype))
    history = [torch.tanh(x[0])]
    for t in range(1, len(x)):
        memory = torch.where(coins.bool(), history[-1] / keep_prob, 0.0)
        history.append(torch.tanh(x[t] + memory.matmul(weight_state.mT)))
    return torch.stack(history)

# %% correct: with F.dropout on ones
def run(x, weight_state, keep_prob):
    noise = torch.nn.functional.dropout(torch.ones_like(x[0]), 1 - keep_prob, training=True)
    out, last = torch.empty_like(x), 0.0 * x[0]
    for t, drive in enumerate(x):
        last = torch.tanh(torch.addmm(drive, noise * last, weight_state.t()))
        out[t] = last
    return out

# %% wrong: mask-per-step: as given
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    states = []
    for now in x:
        mask = (torch.rand_like(state) < keep_prob) / keep_prob
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: nothing-dropped: dropout removed
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    states = []
    for now in x:
        state = torch.tanh(now + state @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: unscaled: not divided
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = torch.rand_like(state) < keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: mask-per-batch: one mask for all sequences
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand(x.shape[2]) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: same-mask-again: seeded inside
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    torch.manual_seed(0)
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: keep-and-drop-swapped: greater than
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) > keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: states-dropped: the new state is masked
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + state @ weight_state.T) * mask
        states.append(state)
    return torch.stack(states)

# %% correct: with the default precision for the first state
def run(x, weight_state, keep_prob):
    state = torch.zeros(x.shape[1:])
    mask = torch.bernoulli(torch.full(x.shape[1:], keep_prob)) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: mask-after-the-matrix: what is sent is masked
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state @ weight_state.T) * mask)
        states.append(state)
    return torch.stack(states)

# %% wrong: diagonal-only: each unit hears itself
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + state * mask * weight_state.diagonal())
        states.append(state)
    return torch.stack(states)

# %% wrong: transposed: the matrix turned round
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state)
        states.append(state)
    return torch.stack(states)

# %% wrong: units-share-coins: pairs of units
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    coins = (torch.rand(x.shape[1], (x.shape[2] + 1) // 2) < keep_prob) / keep_prob
    mask = coins.repeat_interleave(2, 1)[:, : x.shape[2]]
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: no-gradient: a state without a past
def run(x, weight_state, keep_prob):
    with torch.no_grad():
        state = torch.zeros_like(x[0])
        mask = (torch.rand_like(state) < keep_prob) / keep_prob
        states = []
        for now in x:
            state = torch.tanh(now + (state * mask) @ weight_state.T)
            states.append(state)
        return torch.stack(states)

# %% wrong: wrong-gradient: cut off after each step
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state.detach() * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: wrong-scale: divided twice
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob**0.5
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: fixed-size: three steps
def run(x, weight_state, keep_prob):
    first, second, third = x
    mask = (torch.rand_like(first) < keep_prob) / keep_prob
    a = torch.tanh(first)
    b = torch.tanh(second + (a * mask) @ weight_state.T)
    return torch.stack([a, b, torch.tanh(third + (b * mask) @ weight_state.T)])

# %% wrong: reseeds: seeds drawn from many
def run(x, weight_state, keep_prob):
    torch.manual_seed(int(torch.randint(0, 2**31, ())))
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = []
    for now in x:
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: off: the drive is masked, too
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    mask = (torch.rand_like(state) < keep_prob) / keep_prob
    states = [torch.tanh(x[0])]
    for now in x[1:]:
        state = torch.tanh(now * 1.01 + (states[-1] * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: in-place: states written over the inputs
def run(x, weight_state, keep_prob):
    mask = (torch.rand_like(x[0]) < keep_prob) / keep_prob
    state = torch.zeros_like(x[0])
    for step in range(len(x)):
        state = torch.tanh(x[step] + (state * mask) @ weight_state.T)
        x[step] = state
    return x.clone()

# %% wrong: states-dropped: the inputs are masked
def run(x, weight_state, keep_prob):
    mask = (torch.rand_like(x[0]) < keep_prob) / keep_prob
    state, states = torch.zeros_like(x[0]), []
    for now in x:
        state = torch.tanh(now * mask + state @ weight_state.T)
        states.append(state)
    return torch.stack(states)

# %% wrong: wrong-type: a list of states
def run(x, weight_state, keep_prob):
    mask = (torch.rand_like(x[0]) < keep_prob) / keep_prob
    states = [torch.tanh(x[0])]
    for now in x[1:]:
        states.append(torch.tanh(now + (states[-1] * mask) @ weight_state.T))
    return states
