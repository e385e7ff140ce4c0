//! Families that are not supported, by the names that their configurations give away.

use super::plan;
use crate::error::Error;

const LANGUAGES: &str = "Of the supported models SigLIP 2 knows many languages: google/siglip2-base-patch16-224.";
const OTHERS: &str = "\"pgclip known\" lists models that are supported.";
const TWO_TOWERS: &str = "It is one tower of a model: import the one that has both, for texts and for images.";

/// `model_type` of transformers.
pub fn model_type(name: Option<&str>) -> Error {
    let (family, hint) = match name {
        Some("altclip") => ("AltCLIP", LANGUAGES),
        Some("vision-text-dual-encoder") => ("a dual encoder of other towers", OTHERS),
        Some("mobileclip" | "mobile_clip") => ("MobileCLIP", OTHERS),
        Some("blip" | "blip-2" | "align" | "flava" | "groupvit" | "clipseg" | "owlvit" | "xclip" | "clap") => {
            ("", OTHERS)
        }
        Some("clip_text_model" | "clip_vision_model" | "siglip_text_model" | "siglip_vision_model") => ("", TWO_TOWERS),
        _ => ("", ""),
    };
    let family = if family.is_empty() { String::new() } else { format!(" ({family})") };
    let name = name.unwrap_or("(none)");
    let expected = if hint.is_empty() { ": expected \"clip\" or \"siglip\"" } else { "" };
    let error = Error::unsupported(format!("model type \"{name}\"{family} is not supported{expected}"));
    if hint.is_empty() { error } else { error.with_hint(hint) }
}

/// Weights of Apple's own code, beside which no configuration is.
const APPLE: [&str; 10] = [
    "mobileclip_s0.pt",
    "mobileclip_s1.pt",
    "mobileclip_s2.pt",
    "mobileclip_b.pt",
    "mobileclip_blt.pt",
    "mobileclip2_s0.pt",
    "mobileclip2_s2.pt",
    "mobileclip2_s3.pt",
    "mobileclip2_s4.pt",
    "mobileclip2_b.pt",
];

/// What to say of MobileCLIP as Apple's own code stores it, with no weights beside it that an import reads. Some are there in open_clip's layout, too;
/// the first S0 is not, whose text tower has convolutions.
pub fn apple(has: impl Fn(&str) -> bool) -> Option<Error> {
    let name = APPLE.into_iter().find(|name| has(name))?;
    if plan::weights(has).is_some() {
        return None;
    }
    let error =
        Error::unsupported(format!("\"{name}\" (MobileCLIP in the layout of Apple's own code) is not supported"));
    Some(error.with_hint(
        "Take it in open_clip's layout, as timm/MobileCLIP2-S0-OpenCLIP. The first version's S0, whose text tower has convolutions, is not supported at all.",
    ))
}

/// `timm_model_name` of an open_clip configuration.
pub fn vision_tower(name: &str) -> Error {
    let families = [
        ("vit_pe_", "PE-Core"),
        ("eva", "EVA-CLIP"),
        ("convnext", "ConvNeXt"),
        ("vitamin", "ViTamin"),
        ("naflexvit", "SigLIP 2 NaFlex"),
    ];
    let family = families.iter().find(|(start, _)| name.starts_with(start)).map(|(_, family)| format!(" ({family})"));
    let error = Error::unsupported(format!(
        "vision tower \"{name}\" of timm{} is not supported",
        family.as_deref().unwrap_or_default()
    ));
    error.with_hint(OTHERS)
}

/// `hf_model_name` of an open_clip configuration, and `hf_model_name_or_path` of Jina CLIP's.
pub fn text_tower(name: &str) -> Error {
    let error = Error::unsupported(format!("text tower \"{name}\" of transformers is not supported"));
    error.with_hint(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_by_name() {
        let error = model_type(Some("altclip"));
        assert_eq!(error.message, "model type \"altclip\" (AltCLIP) is not supported");
        assert!(error.hint.unwrap().contains("siglip2"));
        let error = model_type(Some("bert"));
        assert_eq!(error.message, "model type \"bert\" is not supported: expected \"clip\" or \"siglip\"");
        assert_eq!(model_type(None).hint, None);
        assert!(model_type(Some("clip_vision_model")).hint.unwrap().contains("both"));
        for (tower, family) in [("vit_pe_core_large", "PE-Core"), ("eva02_base_patch16_clip_224", "EVA-CLIP")] {
            let message = format!("vision tower \"{tower}\" of timm ({family}) is not supported");
            assert_eq!(vision_tower(tower).message, message);
        }
        let error = vision_tower("vit_base_patch16_siglip_gap_224");
        assert_eq!(error.message, "vision tower \"vit_base_patch16_siglip_gap_224\" of timm is not supported");
        assert!(error.hint.unwrap().contains("pgclip known"));
        assert_eq!(text_tower("x/bert").message, "text tower \"x/bert\" of transformers is not supported");
        assert!(text_tower("bert-base-uncased").hint.unwrap().contains("pgclip known"));
    }
}
