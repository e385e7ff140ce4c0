"""Augmentation of a whole batch at once, in torch: (N, 4, S, S) uint8 pictures to (N, 3, size, size) normalised pixels.

The pictures are premultiplied by their alpha. Everything that happens to colours is one affine map a picture, so one product."""
import torch
import torch.nn.functional as F

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def hue(angle):
    """Matrices that turn colours about the grey axis."""
    c, s, t = torch.cos(angle), torch.sin(angle), (1 - torch.cos(angle)) / 3
    u = s * 3 ** -0.5
    return torch.stack([c + t, t - u, t + u, t + u, c + t, t - u, t - u, t + u, c + t], 1).view(-1, 3, 3)


def place(b, u, mirror, k):
    """Scale, rotation, aspect, shift and mirror as affine maps. Styles differ in their margins: drawings end up 0.6 to 1.05 wide."""
    scale, angle, aspect = torch.exp(0.18 - u(-.26 * k, .26 * k)), u(-.15 * k, .15 * k), 1 + u(-.08 * k, .08 * k)
    flip = torch.where((u(0, 1) < 0.5) & mirror, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    return torch.stack([torch.stack([cos * flip * aspect, -sin, u(-.08 * k, .08 * k)], 1),
                        torch.stack([sin * flip * aspect, cos, u(-.08 * k, .08 * k)], 1)], 1)


def lines(x, u):
    """Some pictures get a dark line around the silhouette or wherever colours meet; of some, only these lines are left."""
    r, dark = u(0, 1), u(0, .2)
    for i in (r < .18).nonzero()[:, 0].tolist():
        y = x[i:i + 1]
        if r[i] < .08:                                            # around the silhouette
            wide = F.max_pool2d(y[:, 3:], 3, 1, 1)
            x[i, :3] += (wide - y[:, 3:])[0] * dark[i]
            x[i, 3:] = wide[0]
            continue
        d = F.pad(y, (0, 1, 0, 1), mode="replicate")
        edge = ((d[:, :, 1:, :-1] - y).abs() + (d[:, :, :-1, 1:] - y).abs()).amax(1, keepdim=True)
        edge = (F.max_pool2d(edge, 3, 1, 1) * 3).clamp_(0, 1)[0]
        if r[i] < .16:
            x[i, :3] *= 1 - edge
            x[i, 3:] = torch.maximum(x[i, 3:], edge)
        else:                                                     # black where the lines are, nothing elsewhere
            x[i, :3] = 0
            x[i, 3:] = edge
    return x


def colours(b, u, g, k):
    """(b, 3, 4) and (b, 3, 1): premultiplied colours and alpha to pixels, the ground behind included."""
    grey = torch.full((b, 3, 3), 1 / 3)
    mix = lambda m, n, share: m + (n - m) * share[:, None, None]
    eye = torch.eye(3).expand(b, 3, 3)
    m = mix(grey, eye, torch.where(u(0, 1) < .08, torch.zeros(b), u(.7, 1.3)))                 # saturation, sometimes none
    m = torch.bmm(m, torch.where((u(0, 1) < .15 * k)[:, None, None], hue(u(-.7, .7)), eye))
    contrast, light, pivot = u(.75, 1.2), u(.85, 1.15), u(.5, .9)
    m, c = m * (contrast * light)[:, None, None], ((1 - contrast) * pivot * light)[:, None].expand(b, 3)
    r, any_colour = u(0, 1)[:, None], torch.rand(b, 3, generator=g)
    ground = torch.where(r < .75, torch.ones(b, 3), torch.where(r < .90, u(.75, 1)[:, None].expand(b, 3), any_colour))
    behind = torch.bmm(m, ground[:, :, None])
    return torch.cat([m, -behind], 2), behind + c[:, :, None]


def augment(rgba, size, mirror, g, strength=1.0):
    """`mirror`: which pictures may be mirrored (no flags, letters, arrows)."""
    b, dev = len(rgba), rgba.device
    u = lambda lo, hi: torch.empty(b).uniform_(lo, hi, generator=g)
    to = place(b, u, mirror.cpu(), strength).to(dev)
    x = F.grid_sample(rgba.float(), F.affine_grid(to, (b, 4, size, size), align_corners=False), align_corners=False).mul_(1 / 255)
    x = lines(x, u)
    m, c = (v.to(dev) for v in colours(b, u, g, strength))
    out = torch.baddbmm(c, m, x.flatten(2)).clamp_(0, 1)
    mean, std = (torch.tensor(v, device=dev)[:, None] for v in (MEAN, STD))
    return out.sub_(mean).div_(std).view(b, 3, size, size)
