"""Adam without torch's compiler, whose import would take two seconds of each start."""

from inspect import unwrap

import torch


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, but for the wrappers around its methods: nothing is compiled here, and they load the compiler.

    States are the same: either goes on with what the other has saved.
    """

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
