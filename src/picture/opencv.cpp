// The functions of OpenCV that livelabel uses, with a C interface. Each returns 0, or 1 on an error, which livelabel_opencv_error
// describes.

#include <opencv2/imgproc.hpp>

#include <cstddef>
#include <exception>
#include <string>

namespace {

thread_local std::string error;

struct Pixels {
    unsigned char *data;
    std::size_t stride;
    int width, height, channels;

    cv::Mat mat() const { return cv::Mat(height, width, CV_MAKETYPE(CV_8U, channels), data, stride); }
};

template <typename Work> int attempt(Work work) {
    try {
        work();
        return 0;
    } catch (const std::exception &cause) {
        error = cause.what();
    } catch (...) {
        error = "an unknown error";
    }
    return 1;
}

} // namespace

// OpenCV can share memory with OpenGL, which livelabel does not use. This stub avoids linking libGL and its drivers.
extern "C" __attribute__((weak, visibility("hidden"))) void *glXGetProcAddressARB(const unsigned char *) { return nullptr; }

extern "C" {

const char *livelabel_opencv_error() { return error.c_str(); }

int livelabel_opencv_resize(const Pixels *from, const Pixels *to, int area) {
    return attempt([=] {
        cv::Mat target = to->mat();
        cv::resize(from->mat(), target, target.size(), 0, 0, area ? cv::INTER_AREA : cv::INTER_LINEAR);
    });
}

// All planes must have the size of `bgr`.
int livelabel_opencv_bgr(const Pixels *y, const Pixels *cr, const Pixels *cb, const Pixels *bgr) {
    return attempt([=] {
        const cv::Mat planes[] = {y->mat(), cr->mat(), cb->mat()};
        cv::Mat merged, target = bgr->mat();
        cv::merge(planes, 3, merged);
        cv::cvtColor(merged, target, cv::COLOR_YCrCb2BGR);
    });
}

int livelabel_opencv_text_size(const char *text, double scale, int thickness, int *width, int *descent) {
    return attempt([=] {
        *width = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, thickness, descent).width;
    });
}

int livelabel_opencv_text(const Pixels *to, const char *text, int x, int y, double scale, int grey, int thickness,
                          int smooth) {
    return attempt([=] {
        cv::Mat target = to->mat();
        cv::putText(target, text, cv::Point(x, y), cv::FONT_HERSHEY_SIMPLEX, scale, cv::Scalar::all(grey), thickness,
                    smooth ? cv::LINE_AA : cv::LINE_8);
    });
}

}
