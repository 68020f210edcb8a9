//! The demuxers, parsers and decoders that may read what comes from outside. GStreamer has hundreds more, for formats that no camera
//! and hardly any clip has; their code is old and seldom tested, and a damaged file could reach it.
//!
//! `GST_PLUGIN_FEATURE_RANK`, GStreamer's own variable, allows others: one that it names keeps the rank that it says.

use std::collections::BTreeSet;
use std::sync::Once;

use gstreamer as gst;
use gstreamer::prelude::*;

/// Names one element by another rank than its own: `NAME:RANK,NAME:RANK`.
const VARIABLE: &str = "GST_PLUGIN_FEATURE_RANK";
/// Rank below which decodebin does not use an element by itself.
const USED: gst::Rank = gst::Rank::MARGINAL;

/// AVI, MP4 and MOV, Matroska and WebM, MPEG, FLV, Ogg, Windows Media, DV; what cameras send over HTTP.
const DEMUXERS: [&str; 15] = [
    "asfdemux",
    "avidemux",
    "dashdemux",
    "dashdemux2",
    "dvdemux",
    "flvdemux",
    "hlsdemux",
    "hlsdemux2",
    "matroskademux",
    "mpegpsdemux",
    "mssdemux",
    "mssdemux2",
    "multipartdemux",
    "oggdemux",
    "qtdemux",
];
/// MPEG-TS has the demuxer of another plugin, and Ogg an old form of AVI.
const TRANSPORT: [&str; 3] = ["oggaviparse", "ogmvideoparse", "tsdemux"];
/// What RTSP cameras send.
const DEPAYLOADERS: [&str; 12] = [
    "rtpav1depay",
    "rtph263depay",
    "rtph263pdepay",
    "rtph264depay",
    "rtph265depay",
    "rtpjpegdepay",
    "rtpmp2tdepay",
    "rtpmp4vdepay",
    "rtpmpvdepay",
    "rtpvp8depay",
    "rtpvp9depay",
    "rtpvrawdepay",
];
const PARSERS: [&str; 11] = [
    "av1parse",
    "h263parse",
    "h264parse",
    "h265parse",
    "jpegparse",
    "mpeg4videoparse",
    "mpegvideoparse",
    "pngparse",
    "rawvideoparse",
    "vc1parse",
    "vp9parse",
];
const DECODERS: [&str; 41] = [
    "av1dec",
    "avdec_av1",
    "avdec_dnxhd",
    "avdec_dvvideo",
    "avdec_ffv1",
    "avdec_ffvhuff",
    "avdec_flv",
    "avdec_h263",
    "avdec_h263i",
    "avdec_h263p",
    "avdec_h264",
    "avdec_h265",
    "avdec_huffyuv",
    "avdec_mjpeg",
    "avdec_mpeg2video",
    "avdec_mpeg4",
    "avdec_mpegvideo",
    "avdec_msmpeg4",
    "avdec_msmpeg4v1",
    "avdec_msmpeg4v2",
    "avdec_prores",
    "avdec_svq3",
    "avdec_theora",
    "avdec_vc1",
    "avdec_vp6f",
    "avdec_vp8",
    "avdec_vp9",
    "avdec_wmv1",
    "avdec_wmv2",
    "avdec_wmv3",
    "dav1ddec",
    "dvdec",
    "jpegdec",
    "libde265dec",
    "mpeg2dec",
    "openh264dec",
    "pngdec",
    "theoradec",
    "vp8dec",
    "vp9dec",
    "vp9alphadecodebin",
];

/// Keeps decodebin from using any other element, once for the process.
pub(super) fn restrict() {
    static RESTRICTED: Once = Once::new();
    RESTRICTED.call_once(|| {
        let named = std::env::var(VARIABLE).unwrap_or_default();
        let named: BTreeSet<&str> = named.split(',').filter_map(|pair| Some(pair.split_once(':')?.0.trim())).collect();
        let kinds = gst::ElementFactoryType::DECODABLE;
        for factory in gst::ElementFactory::factories_with_type(kinds, USED) {
            if !is_allowed(&factory.name(), factory.metadata("klass").unwrap_or_default(), &named) {
                factory.set_rank(gst::Rank::NONE);
            }
        }
    });
}

/// Returns whether an element of a class like `Codec/Decoder/Video/Hardware` may be used.
fn is_allowed(name: &str, class: &str, named: &BTreeSet<&str>) -> bool {
    let listed = [&DEMUXERS[..], &TRANSPORT, &DEPAYLOADERS, &PARSERS, &DECODERS].into_iter().flatten();
    // A processor's decoders have standard formats only.
    class.contains("Hardware") || named.contains(name) || listed.copied().any(|allowed| allowed == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_common_formats_are_decoded() {
        crate::media::init().unwrap();
        let rank = |name| gst::ElementFactory::find(name).map(|factory| factory.rank());
        for name in ["avdec_h264", "avdec_mpeg4", "jpegdec", "matroskademux", "qtdemux", "rtph264depay", "tsdemux"] {
            assert!(rank(name).is_some_and(|rank| rank >= USED), "{name}");
        }
        for name in ["avdec_smackvid", "avdemux_4xm", "avdec_indeo3", "flxdec", "mxfdemux", "rsvgdec", "rmdemux"] {
            assert!(rank(name).is_none_or(|rank| rank == gst::Rank::NONE), "{name}");
        }
    }

    #[test]
    fn other_elements_are_allowed_by_name_or_in_hardware() {
        let named = BTreeSet::from(["mxfdemux"]);
        assert!(is_allowed("mxfdemux", "Codec/Demuxer", &named));
        assert!(!is_allowed("rmdemux", "Codec/Demuxer", &named));
        assert!(is_allowed("nvh264dec", "Codec/Decoder/Video/Hardware", &named));
    }
}
